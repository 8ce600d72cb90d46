#!/usr/bin/env bash
# Runs the tests. It needs nothing but bash and Python 3.11 to 3.13, and installs the rest into .venv on its first run.
#
#   bash scripts/test.sh                            all of them
#   bash scripts/test.sh -n 0 tests/ir -k layout    arguments go to pytest; paths are seen from the project's folder
set -euo pipefail
export CAFFE2TF_EXTRAS=${CAFFE2TF_EXTRAS:-test}
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
cd "$caffe2tf_root"
# Two processes: each imports TensorFlow once, which costs seconds. A file stays in one of them, with its fixtures.
exec python -m pytest -n 2 --dist loadfile "$@"
