# shellcheck shell=bash
# Sourced by the other scripts: puts an up-to-date virtual environment first on the PATH. It needs only bash and Python. It creates
# the environment if there is none, and does nothing if it matches setup.cfg and the constraints.
#
# In:   CAFFE2TF_VENV         the environment's folder                     (default: .venv in the project)
#       CAFFE2TF_EXTRAS       extras to install, separated by commas       (default: none)
#       CAFFE2TF_CONSTRAINTS  the file of exact versions                   (default: constraints.txt)
#       CAFFE2TF_PYTHON       interpreters to try, in this order           (default: python3.13 to python3.11, then python3)
# Out:  caffe2tf_root         the project's folder; PATH and VIRTUAL_ENV are set as in an activated environment

caffe2tf_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}

# Succeeds if $1 is a Python that caffe2tf supports.
caffe2tf_fits() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

# Prints the interpreter for the new environment.
caffe2tf_find_python() {
  local candidate
  for candidate in ${CAFFE2TF_PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
    if caffe2tf_fits "$candidate" && "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  cat >&2 <<END
caffe2tf needs Python 3.11, 3.12 or 3.13 with its venv module; none of these fits:
  ${CAFFE2TF_PYTHON:-python3.13 python3.12 python3.11 python3 python}
Install one (on Debian and Ubuntu: apt install python3 python3-venv), or set CAFFE2TF_PYTHON=/path/to/python3
END
  return 1
}

# Installs caffe2tf and the extras into the environment $1, and records them in the stamp file.
caffe2tf_install() {
  local venv=$1 constraints=$2 fingerprint=$3 extras=$4
  echo "Installing caffe2tf${extras:+ with $extras} into $venv (TensorFlow is large: this may take minutes)" >&2
  rm -f "$venv/.caffe2tf-stamp"
  if ! "$venv/bin/python" -m pip install -qq --no-input --disable-pip-version-check \
    --config-settings editable_mode=compat -c "$constraints" -e "$caffe2tf_root${extras:+[$extras]}"; then
    echo "The installation failed; pip gives the reason above. Fix it, then run the same command again." >&2
    return 1
  fi
  printf '%s\n%s\n' "$fingerprint" "$extras" >"$venv/.caffe2tf-stamp"
}

caffe2tf_setup() {
  local venv=${CAFFE2TF_VENV:-.venv} constraints=${CAFFE2TF_CONSTRAINTS:-constraints.txt}
  local wanted=${CAFFE2TF_EXTRAS:-} fingerprint have="" installed="" extra python
  case $venv in /*) ;; *) venv=$caffe2tf_root/$venv ;; esac
  case $constraints in /*) ;; *) constraints=$caffe2tf_root/$constraints ;; esac
  # Includes the folders, because an environment does not work after it or the project was moved.
  fingerprint=$( (echo "$venv $caffe2tf_root" && cat "$caffe2tf_root/setup.cfg" "$constraints") | cksum) || return 1

  if ! caffe2tf_fits "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(caffe2tf_find_python) || return 1
    "$python" -m venv --clear "$venv" || return 1
  fi

  if [ -f "$venv/.caffe2tf-stamp" ]; then
    { read -r have && read -r installed; } <"$venv/.caffe2tf-stamp" || true
  fi
  # Keep the extras that other scripts installed; otherwise the scripts would undo each other's work.
  local missing=""
  for extra in ${wanted//,/ }; do
    case ",$installed," in *",$extra,"*) ;; *) missing=1 && installed=${installed:+$installed,}$extra ;; esac
  done
  if [ "$have" != "$fingerprint" ] || [ -n "$missing" ]; then
    caffe2tf_install "$venv" "$constraints" "$fingerprint" "$installed" || return 1
  fi
  export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH
  unset PYTHONHOME
}

caffe2tf_setup
