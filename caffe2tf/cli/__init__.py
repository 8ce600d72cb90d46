"""The command line: one thin command per verb, on top of the Python interface."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from caffe2tf.cli.streams import settle_streams
from caffe2tf.errors import Caffe2TFError
from caffe2tf.quiet import quiet_start
from caffe2tf.speed import collect_rarely, limit_blas_threads, skip_last_collection

__all__ = ["main"]


class _Stopped(BaseException):
    """A signal asked the program to end. As an exception, it lets every half-written file be removed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> None:
    """Run the ``caffe2tf`` command: print an error's message without a traceback, and exit with its status."""
    settle_streams()
    limit_blas_threads()
    skip_last_collection()
    with collect_rarely():
        sys.exit(_run())


def _run() -> int | str | None:
    try:
        with _stopping_cleanly():  # around the imports, too: they take most of the time of a short command
            return _command()
    except _Stopped as e:
        from caffe2tf.cli.output import print_problem

        print_problem(f"caffe2tf: stopped by {signal.Signals(e.number).name}; nothing is left half-written")
        return 128 + e.number  # the convention of shells


def _command() -> int | str | None:
    from caffe2tf.cli.app import app
    from caffe2tf.cli.output import print_problem

    code: int | str | None = 0
    try:
        with quiet_start():
            app()
    except SystemExit as e:  # typer always ends so
        code = e.code
    except Caffe2TFError as e:
        from caffe2tf.cli.hints import COMMAND_LINE

        print_problem(f"caffe2tf: {e.text(COMMAND_LINE)}")
        code = e.exit_code
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe early (`| head`)
        pass
    except Caffe2TFError as e:
        print_problem(f"caffe2tf: {e}")
        code = e.exit_code
    return code


@contextmanager
def _stopping_cleanly() -> Iterator[None]:
    """Raise `_Stopped` on SIGINT, SIGTERM and SIGHUP inside the block; a signal that is ignored stays ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # a second signal must not interrupt the cleanup
        raise _Stopped(number)

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {s: signal.getsignal(s) for s in wanted if signal.getsignal(s) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
