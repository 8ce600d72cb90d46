"""PadTensor, Pad and PadV2: Synopsys' Python layers that pad a blob with a constant."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.layers.param_str import Setting, read_param_str
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.pad import Pad
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["PadTensor", "PythonPad", "PythonPadV2"]

_SIDES = ("pad_t", "pad_b", "pad_l", "pad_r")


@register("Python:pad.PadTensor")
@dataclass(frozen=True, slots=True, kw_only=True)
class PadTensor(Pad):
    """Padding of an image with zeros, as a Python layer (Synopsys).

    The layer cannot work in place.

    | parameter (in ``python_param.param_str``) | default | meaning |
    |---|---|---|
    | pad_t, pad_b, pad_l, pad_r | required | number of zeros above, below, left and right |
    | pad_mode | required | ``"constant"``; other modes are not supported |

    Bottoms: one, (N, C, H, W). Tops: one, (N, C, pad_t + H + pad_b, pad_l + W + pad_r). Trained blobs: none.

    Source: ``python/pad.py`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``param_str``; the padding is that of four axes."""
        forbid_in_place(proto)
        settings = read_param_str(proto.message.python_param.param_str)
        missing = [name for name in (*_SIDES, "pad_mode") if name not in settings]
        if missing:
            raise LayerError(f"python_param.param_str must contain {', '.join(missing)}")
        if settings["pad_mode"] != "constant":
            raise LayerUnsupportedError(f"pad_mode {settings['pad_mode']!r} is not supported, only 'constant' is")
        above, below, left, right = (_count(settings[name], name) for name in _SIDES)
        return cls(paddings=((0, 0), (0, 0), (above, below), (left, right)))


@register("Python:pads.Pad")
@dataclass(frozen=True, slots=True, kw_only=True)
class PythonPad(Pad):
    """Padding of a blob with zeros, as a Python layer (Synopsys).

    The layer cannot work in place.

    | parameter (``python_param``) | default | meaning |
    |---|---|---|
    | param_str | required | for each axis, including the batch: padding before and after, such as [[0, 0], [1, 2]] |

    Bottoms: one, of at least one axis. Tops: one, each of whose extents is that of the bottom plus the padding. Trained
    blobs: none.

    Source: ``python/pads.py`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``param_str``, a list of pairs."""
        forbid_in_place(proto)
        try:
            pairs = ast.literal_eval(proto.message.python_param.param_str.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            pairs = None
        return cls(paddings=_pairs(pairs, "python_param.param_str"))


@register("Python:pads.PadV2")
@dataclass(frozen=True, slots=True, kw_only=True)
class PythonPadV2(Pad):
    """Padding of a blob with a constant, as a Python layer (Synopsys).

    The layer cannot work in place.

    | parameter (in ``python_param.param_str``) | default | meaning |
    |---|---|---|
    | paddings | required | for each axis, including the batch: padding before and after, such as [[0, 0], [1, 2]] |
    | constant_values | required | the constant, one number |

    Bottoms: one, of at least one axis. Tops: one, each of whose extents is that of the bottom plus the padding. Trained
    blobs: none.

    Source: ``python/pads.py`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``param_str``, a dict."""
        forbid_in_place(proto)
        settings = read_param_str(proto.message.python_param.param_str)
        value = settings.get("constant_values")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise LayerError(f"constant_values in python_param.param_str must be one number, not {value!r}")
        pairs = _pairs(settings.get("paddings"), "paddings in python_param.param_str")
        return cls(paddings=pairs, value=float(value))


def _pairs(value: Setting, what: str) -> tuple[tuple[int, int], ...]:
    """Return a list of pairs as tuples; check that each number is whole and 0 or more."""
    pairs = [tuple(pair) if isinstance(pair, list | tuple) else () for pair in _listed(value)]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise LayerError(f"{what} must be a list of two numbers for each axis, for example [[0, 0], [1, 2]]")
    return tuple((_count(before, what), _count(after, what)) for before, after in pairs)


def _listed(value: Setting) -> list[Setting]:
    return list(value) if isinstance(value, list | tuple) else []


def _count(value: Setting, what: str) -> int:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise LayerError(f"{what} must be a whole number, 0 or more, not {value!r}")
    return value
