"""Every error that a user's input can cause, one subclass per stage.

A message says what is wrong, where (layer, ``file:line:column``), and how to mend it. The command line prints the
message without a traceback and exits with the `exit_code` of the class.
"""

from __future__ import annotations

from collections.abc import Sequence

from caffe2tf.diagnostics import (
    PYTHON,
    Diagnostic,
    Hint,
    Position,
    Severity,
    Wordings,
    common_hints,
    in_order,
    with_hint,
)

__all__ = [
    "Caffe2TFError",
    "LayerError",
    "LayerUnsupportedError",
    "NetworkError",
    "OutputError",
    "ParseError",
    "UnsupportedError",
    "UsageError",
    "VerificationError",
    "WeightsError",
    "diagnose",
    "network_error",
]


class Caffe2TFError(Exception):
    """The root of every error that a user's input can cause.

    ``str()`` gives the whole message, with hints for a Python program.

    Args:
        message: what is wrong; the heading of ``problems``, if there are any.
        problems: everything that was found, if the error is about several things.
        hint: what the user can do.
        about: what the hint speaks of.

    Attributes:
        exit_code: the exit status of the command line.
    """

    exit_code = 2

    def __init__(
        self,
        message: str = "",
        *,
        problems: Sequence[Diagnostic] = (),
        hint: Hint | None = None,
        about: Sequence[str] = (),
    ) -> None:
        self.message = message
        self.problems = in_order(problems)
        self.hint = hint
        self.about = tuple(about)
        super().__init__(self.text(PYTHON))

    def text(self, wordings: Wordings) -> str:
        """Return the whole message, with hints in the given wording."""
        message = with_hint(self.message, self.hint, self.about, wordings)
        if not self.problems:
            return message
        lines = [p.text(wordings) for p in self.problems]
        hints = common_hints(self.problems, wordings)
        if not message and len(lines) == 1:
            return "\n".join([*lines, *hints])
        return "\n".join([message or f"{len(lines)} problems:", *(f"  {line}" for line in lines), *hints])


class UsageError(Caffe2TFError):
    """A request that cannot be met: an argument is missing, wrong, or contradicts another one."""


class ParseError(Caffe2TFError):
    """A file cannot be read, or its content is malformed."""


class WeightsError(Caffe2TFError):
    """The weights do not belong to the network; `problems` lists every layer that they do not fit."""


class OutputError(Caffe2TFError):
    """A result cannot be written."""


class VerificationError(Caffe2TFError):
    """Two sets of activations cannot be compared; that they differ is not an error."""


class NetworkError(Caffe2TFError):
    """The network is not valid Caffe; `problems` lists everything that was found."""

    def __init__(self, problems: Sequence[Diagnostic]) -> None:
        super().__init__(problems=problems)


class UnsupportedError(NetworkError):
    """At least one part of the network is valid Caffe but cannot be converted."""

    exit_code = 3


class LayerError(Caffe2TFError):
    """One layer is wrong. The loader adds the name and the place of the layer (`diagnose`)."""


class LayerUnsupportedError(LayerError):
    """What one layer asks for is valid Caffe but cannot be converted."""

    exit_code = 3


def diagnose(error: LayerError, *, layer: str, where: Position | None) -> Diagnostic:
    """Return the diagnostic for an error of one layer."""
    unsupported = isinstance(error, LayerUnsupportedError)
    return Diagnostic(
        severity=Severity.UNSUPPORTED if unsupported else Severity.ERROR,
        message=error.message,
        layer=layer,
        where=where,
        hint=error.hint,
        about=error.about,
    )


def network_error(problems: Sequence[Diagnostic]) -> NetworkError:
    """Return the error for these problems: `UnsupportedError` if one of them is a part that is not supported."""
    unsupported = any(p.severity is Severity.UNSUPPORTED for p in problems)
    return UnsupportedError(problems) if unsupported else NetworkError(problems)
