#!/usr/bin/env bash
# Runs the tests with the oldest supported versions (constraints-lowest.txt) in a separate environment, .venv-lowest. It needs
# Python 3.11 or 3.12, because the oldest NumPy was never built for 3.13. Arguments are passed to pytest, as in test.sh.
set -euo pipefail
export CAFFE2TF_VENV=${CAFFE2TF_VENV:-.venv-lowest}
export CAFFE2TF_CONSTRAINTS=constraints-lowest.txt
export CAFFE2TF_PYTHON=${CAFFE2TF_PYTHON:-python3.11 python3.12 python3}
exec bash "$(dirname "${BASH_SOURCE[0]}")/test.sh" "$@"
