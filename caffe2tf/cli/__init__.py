"""The command line: one thin command for each verb, over the Python interface."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from caffe2tf.cli.streams import settle_streams
from caffe2tf.errors import Caffe2TFError
from caffe2tf.quiet import quiet_start

__all__ = ["main"]


class _Stopped(BaseException):
    """A signal asks the program to end: what is half done is undone on the way out, as with any exception."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> None:
    """The ``caffe2tf`` command: prints an error's message without a traceback and exits with its status."""
    settle_streams()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would start threads that nothing here makes use of
    atexit.register(gc.freeze)  # the interpreter's last search for garbage would go through all of it once more
    thresholds = gc.get_threshold()
    gc.set_threshold(200_000)  # importing makes many objects and no garbage; looking for it takes a tenth of the time
    try:
        sys.exit(_run())
    finally:
        gc.set_threshold(*thresholds)


def _run() -> int | str | None:
    try:
        with _stopping_cleanly():  # the imports, too, which are most of the time of a short command
            return _command()
    except _Stopped as e:
        from caffe2tf.cli.output import print_problem

        print_problem(f"caffe2tf: stopped by {signal.Signals(e.number).name}; nothing is left half-written")
        return 128 + e.number  # as shells report it


def _command() -> int | str | None:
    from caffe2tf.cli.app import app
    from caffe2tf.cli.output import print_problem

    code: int | str | None = 0
    try:
        with quiet_start():
            app()
    except SystemExit as e:  # how typer ends
        code = e.code
    except Caffe2TFError as e:
        print_problem(f"caffe2tf: {e}")
        code = e.exit_code
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has seen enough (`| head`)
        pass
    except Caffe2TFError as e:
        print_problem(f"caffe2tf: {e}")
        code = e.exit_code
    return code


@contextmanager
def _stopping_cleanly() -> Iterator[None]:
    """Turns Ctrl-C and a request to terminate into an exception; a signal that is ignored stays so."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # the second must not interrupt the cleaning up
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
