#!/usr/bin/env bash
# Runs the tests. The script needs bash and Python 3.11 to 3.13, and installs everything else into .venv on its first run.
#
#   bash scripts/test.sh                            run all tests
#   bash scripts/test.sh -n 0 tests/ir -k layout    pass arguments to pytest; paths are relative to the project's folder
set -euo pipefail
export CAFFE2TF_EXTRAS=${CAFFE2TF_EXTRAS:-test}
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
cd "$caffe2tf_root"
# Two processes, because each of them imports TensorFlow, which takes seconds. The tests of a file share a process.
exec python -m pytest -n 2 --dist loadfile "$@"
