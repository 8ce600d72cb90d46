"""Run the command line inside the test process, so that TensorFlow is imported only once."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from unittest import mock

from caffe2tf.cli import main

__all__ = ["Outcome", "caffe2tf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The exit status of a command and what it printed."""

    code: int
    out: str
    err: str


def caffe2tf(*arguments: object) -> Outcome:
    """Run ``caffe2tf ARGUMENTS``."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["caffe2tf", *map(str, arguments)]),
        mock.patch.dict(os.environ),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as e:
            code = e.code
    assert isinstance(code, int)
    return Outcome(code=code, out=out.getvalue(), err=err.getvalue())
