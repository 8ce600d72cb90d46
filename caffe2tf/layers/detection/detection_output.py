"""DetectionOutput of SSD: what is found, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeVar

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Expr, keras, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, count, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.detection.yolo import YoloDetectionOutput
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import DetectionOutputParameter, NonMaximumSuppressionParameter

__all__ = ["DetectionOutput"]

T = TypeVar("T")

_CODES: Final = {1: "corner", 2: "center_size", 3: "corner_size"}
_GROUPS: Final = 6  # how many feature maps there are where none of their predictions are concatenated


@register("DetectionOutput")
@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionOutput(Layer):
    """Detections of SSD (weiliu89/caffe): decodes boxes, and keeps the best of each class.

    Bottoms: offsets (N, priors x 4, or priors x num_classes x 4), scores (N, priors x num_classes), and priors
    (1, 2, priors x 4): boxes, then variances. A fourth bottom, the images that `visualize` shows, is left aside. As in
    Synopsys' Caffe there may be 13: the scores of 6 feature maps, their offsets, and the priors.

    The top is (1, 1, n, 7), and n is known only at run time. A row is image, class, score, left, top, right, bottom;
    rows are in order of images, of classes, and of falling scores. Where nothing is found in any image, there is one
    row for each image: its number, then -1. Since images have rows of different number, Keras' `predict` must get all
    images as one batch.

    Where a fixed number of rows is asked for, every image has `keep_top_k` rows, one image after the other: what is
    found as above, then rows of -1. The top is then (1, 1, N x keep_top_k, 7) even where nothing is found.

    | parameter | default | meaning |
    |---|---|---|
    | num_classes | required | count of classes, the background among them |
    | share_location | true | whether one box serves all classes |
    | background_label_id | 0 | the class that is not looked for; -1 if there is none |
    | code_type | CORNER | what offsets mean: CORNER, CENTER_SIZE, CORNER_SIZE |
    | variance_encoded_in_target | false | whether variances are left aside |
    | confidence_threshold | none | scores must be above it |
    | nms_param.nms_threshold | 0.3 | overlap with a better box of its class above which a box goes |
    | nms_param.top_k | all | how many boxes of each class are looked at, the best ones |
    | nms_threshold, top_k | | an early SSD's place for what is now in nms_param |
    | nms_param.eta | 1 | factor of the threshold after each box that stays, while that is above 0.5 |
    | keep_top_k | -1 | detections of an image, at most; -1 for any number |
    | visualize, visualize_threshold, save_file | | left aside: nothing is shown or saved |

    Caffe stops where a prior has no width or height (CENTER_SIZE, CORNER_SIZE), which is not checked here, and, on the
    CPU, where there is no background class and locations are shared, which works here. Where `keep_top_k` cuts between
    equal scores, Caffe's choice depends on its sorting; here the lower class stays, and in it the earlier prior.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)

    num_classes: int
    share_location: bool = True
    background: int = 0
    code: str = "corner"
    variance_in_target: bool = False
    nms_threshold: float = 0.3
    top_k: int = -1
    eta: float = 1.0
    keep_top_k: int = -1
    threshold: float | None = None
    groups: int = 1

    @classmethod
    def read(cls, proto: LayerProto) -> Self | YoloDetectionOutput:  # type: ignore[override]  # another layer's name
        """Parameters; with one bottom, those of YOLO's layer."""
        if len(proto.bottoms) == 1:
            return YoloDetectionOutput.read(proto)
        p = proto.message.detection_output_param
        nms = _suppression(p)
        groups = _groups(len(proto.bottoms))
        if not p.HasField("num_classes"):
            raise LayerError("detection_output_param.num_classes is required: the count of classes with the background")
        if nms.nms_threshold < 0:
            raise LayerError(f"nms_param.nms_threshold must be 0 or more, not {short(nms.nms_threshold)}")
        if not 0 < nms.eta <= 1:
            raise LayerError(f"nms_param.eta must be above 0, and 1 at most, not {short(nms.eta)}")
        return cls(
            num_classes=p.num_classes,
            share_location=p.share_location,
            background=p.background_label_id,
            code=_CODES[p.code_type],
            variance_in_target=p.variance_encoded_in_target,
            nms_threshold=nms.nms_threshold,
            top_k=max(nms.top_k, -1) if nms.HasField("top_k") else -1,
            eta=nms.eta,
            keep_top_k=max(p.keep_top_k, -1),
            threshold=p.confidence_threshold if p.HasField("confidence_threshold") else None,
            groups=groups,
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """(1, 1, n, 7)."""
        offsets, scores, (priors,) = self._parts(inputs)
        images: set[int] = set()
        for what, shapes in (("offsets", offsets), ("scores", scores)):
            for shape in shapes:
                if not 2 <= len(shape) <= 4 or any(d not in (1, None) for d in shape[2:]):
                    raise LayerError(f"the {what} must be (images, values), flattened, not {format_shape(shape)}")
                if self.groups > 1 and len(shape) != 2:
                    raise LayerError(f"the {what} of several feature maps must have 2 axes, not {format_shape(shape)}")
                images |= {shape[0]} - {None}  # type: ignore[arg-type]
        if len(images) > 1:
            raise LayerError(f"offsets and scores must be of as many images: they are of {_listed(images)}")
        number = self._priors(priors)
        if number is not None:
            own = 1 if self.share_location else self.num_classes
            self._check("offset", offsets, number, 4 * own)
            self._check("score", scores, number, self.num_classes)
        return ((1, 1, None, 7),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Its rows gather the whole batch, of any size; priors count once for all images."""
        offsets, scores, _ = self._parts(batched)
        return Batch.ABSENT if all(offsets) and all(scores) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Caffe's order; images to be shown may have any, as nothing reads them."""
        read = 3 if self.groups == 1 else len(inputs)
        layouts = (Layout.plain(v.rank) if i < read else v.layout for i, v in enumerate(inputs))
        return Arrangement(inputs=tuple(layouts), outputs=(Layout.plain(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        if ctx.fixed_rows and self.keep_top_k < 0:
            raise LayerError(
                "a fixed number of detections needs a detection_output_param.keep_top_k of 0 or more: without one, an "
                "image may have any number"
            )
        offsets, scores, (priors,) = self._parts(inputs)
        made = runtime(
            "DetectionOutput",
            self.num_classes,
            share_location=unless(self.share_location, True),  # noqa: FBT003 - the value of a parameter
            background_label_id=unless(self.background, 0),
            code_type=unless(self.code, "corner"),
            variance_encoded_in_target=self.variance_in_target or OMIT,
            nms_threshold=unless(short(self.nms_threshold), 0.3),
            top_k=unless(self.top_k, -1),
            eta=unless(short(self.eta), 1.0),
            keep_top_k=unless(self.keep_top_k, -1),
            confidence_threshold=OMIT if self.threshold is None else short(self.threshold),
            fixed_rows=ctx.fixed_rows or OMIT,
        )
        return made(_joined("loc", offsets), _joined("conf", scores), priors)

    def _parts(self, items: Sequence[T]) -> tuple[Sequence[T], Sequence[T], Sequence[T]]:
        """What belongs to offsets, to scores, and to priors."""
        n = self.groups
        return (items[:1], items[1:2], items[2:3]) if n == 1 else (items[n : 2 * n], items[:n], items[2 * n :])

    def _priors(self, shape: Shape) -> int | None:
        """How many there are, where it is known."""
        if not 3 <= len(shape) <= 4:
            raise LayerError(f"the priors must be (1, 2, priors x 4), not {format_shape(shape)}")
        values = count(shape[1:])
        if shape[2] is None or values is None:
            return None
        number = shape[2] // 4
        if values < 8 * number:
            raise LayerError(
                f"the priors must hold a box and its variances each, (1, 2, priors x 4): {format_shape(shape)} has no "
                "room for variances; give them as PriorBox does"
            )
        return number

    def _check(self, what: str, shapes: Sequence[Shape], priors: int, values: int) -> None:
        extents = [s[1] for s in shapes]
        if None not in extents and sum(e or 0 for e in extents) != priors * values:
            raise LayerError(
                f"for {priors} priors and num_classes {self.num_classes} with share_location "
                f"{str(self.share_location).lower()}, there must be {priors * values} {what}s for an image, {values} "
                f"for each prior: there are {sum(e or 0 for e in extents)}"
            )


def _suppression(p: DetectionOutputParameter) -> NonMaximumSuppressionParameter:
    """nms_param; an early SSD has its fields beside the others."""
    early = {name: getattr(p, name) for name in ("nms_threshold", "top_k") if p.HasField(name)}
    return p.nms_param if p.HasField("nms_param") or not early else type(p.nms_param)(**early)


def _groups(bottoms: int) -> int:
    """In how many parts offsets and scores come."""
    if bottoms == 2:
        raise LayerError("there must be three bottoms: offsets, scores and priors; two are given")
    if bottoms == 5:
        raise LayerUnsupportedError(
            "with five bottoms this is RefineDet's layer, which caffe2tf does not convert; end the network before it"
        )
    if bottoms in (3, 4):
        return 1
    if bottoms == 2 * _GROUPS + 1:
        return _GROUPS
    raise LayerUnsupportedError(
        "there must be 3 bottoms (offsets, scores, priors), 4 (and images), or 13 (scores and offsets of 6 feature "
        f"maps, and priors): {bottoms} are given; concatenate those of all feature maps with Concat layers"
    )


def _joined(role: str, values: Sequence[Value]) -> Expr:
    return values[0] if len(values) == 1 else keras("Concatenate", axis=1, role=role)(*values)


def _listed(numbers: set[int]) -> str:
    return " and ".join(map(str, sorted(numbers)))
