#!/usr/bin/env bash
# Converts a trained network and AlexNet, runs both, and shows that they compute what Caffe computed. The script needs bash and
# Python 3.11 to 3.13, and installs everything else into .venv on its first run.
#
#   bash scripts/demo.sh                  write the results to out/demo
#   bash scripts/demo.sh --out FOLDER     write them to another folder
set -euo pipefail
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
exec python "$caffe2tf_root/scripts/demo.py" "$@"
