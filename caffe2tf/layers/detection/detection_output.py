"""DetectionOutput: decodes SSD predictions into detections."""

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
_GROUPS: Final = 6  # number of feature maps of Synopsys' layer, whose predictions are not concatenated


@register("DetectionOutput")
@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionOutput(Layer):
    """Decodes SSD predictions into detections, and keeps the best boxes of each class.

    1. The offsets of each prior box are multiplied by its variances. CORNER adds the results to the corners.
       CORNER_SIZE multiplies them by the extents of the prior first. CENTER_SIZE moves the center by the first two
       times the extents, and multiplies the extents by the exponentials of the other two.
    2. For each image and each class but the background, the `top_k` boxes of the highest scores above
       `confidence_threshold` are considered, best first. A box is removed if its overlap (intersection over union)
       with a better box that is kept exceeds `nms_threshold`.
    3. Of each image, the `keep_top_k` detections of the highest scores are kept.

    A row of the top is image, class, score, left, top, right and bottom. Rows are sorted by image, then by class, then
    by falling score. If nothing is found in any image, there is one row for each image: its number, then -1. As the
    number of rows varies, Keras' `predict` must get all images as one batch.

    With a fixed number of rows, every image has `keep_top_k` rows: its detections as above, then rows of -1. This also
    holds if nothing is found.

    | parameter (``detection_output_param``) | default | meaning |
    |---|---|---|
    | num_classes | required | number of classes, including the background |
    | share_location | true | predict one box for all classes; false: one for each class |
    | background_label_id | 0 | the class that is not detected; -1 for none |
    | code_type | CORNER | meaning of the offsets, see above: CORNER, CENTER_SIZE or CORNER_SIZE |
    | variance_encoded_in_target | false | ignore the variances |
    | confidence_threshold | none | scores must be greater than this |
    | nms_param.nms_threshold | 0.3 | largest overlap with a better box of the same class |
    | nms_param.top_k | -1 | number of boxes of each class that are considered; -1 for all |
    | nms_param.eta | 1 | multiplies the largest overlap after each box that is kept, while it is greater than 0.5 |
    | nms_threshold, top_k | | fields of an early version of SSD, read if `nms_param` is absent |
    | keep_top_k | -1 | largest number of detections of an image; -1 for no limit |
    | visualize, visualize_threshold, save_file | | ignored: nothing is shown or saved |

    Bottoms: offsets (N, P * 4), or (N, P * num_classes * 4) if `share_location` is false; scores (N, P * num_classes);
    priors (1, 2, P * 4), boxes then variances; and optionally the images that `visualize` shows, which are ignored.
    Synopsys' Caffe has 13 bottoms: the scores of 6 feature maps, their offsets, and the priors. With one bottom, the
    layer is a YoloDetectionOutput. Tops: (1, 1, R, 7), where the number R of rows is known only at run time; with a
    fixed number of rows, (1, 1, N * keep_top_k, 7). Trained blobs: none.

    Deviations: Caffe stops at a prior without width or height (CENTER_SIZE, CORNER_SIZE), which is not checked here.
    On the CPU, Caffe stops if there is no background class and locations are shared, which works here. If `keep_top_k`
    separates equal scores, Caffe's choice depends on its sorting algorithm; here the lower class wins, and within a
    class the earlier prior.

    Source: ``src/caffe/layers/detection_output_layer.cpp`` of github.com/weiliu89/caffe.
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
        """Read ``detection_output_param``; with one bottom, read YOLO's layer."""
        if len(proto.bottoms) == 1:
            return YoloDetectionOutput.read(proto)
        p = proto.message.detection_output_param
        nms = _suppression(p)
        groups = _groups(len(proto.bottoms))
        if not p.HasField("num_classes"):
            raise LayerError("detection_output_param.num_classes is required; it includes the background")
        if nms.nms_threshold < 0:
            raise LayerError(f"nms_param.nms_threshold must be 0 or more, not {short(nms.nms_threshold)}")
        if not 0 < nms.eta <= 1:
            raise LayerError(f"nms_param.eta must be greater than 0 and at most 1, not {short(nms.eta)}")
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
        """Return (1, 1, None, 7) after checking that offsets, scores and priors fit each other."""
        offsets, scores, (priors,) = self._parts(inputs)
        images: set[int] = set()
        for what, shapes in (("offsets", offsets), ("scores", scores)):
            for shape in shapes:
                if not 2 <= len(shape) <= 4 or any(d not in (1, None) for d in shape[2:]):
                    raise LayerError(f"the {what} must be flattened to (N, values), not {format_shape(shape)}")
                if self.groups > 1 and len(shape) != 2:
                    raise LayerError(f"the {what} of several feature maps must have 2 axes, not {format_shape(shape)}")
                images |= {shape[0]} - {None}  # type: ignore[arg-type]
        if len(images) > 1:
            raise LayerError(f"offsets and scores must have the same batch size, not {_listed(images)}")
        number = self._priors(priors)
        if number is not None:
            own = 1 if self.share_location else self.num_classes
            self._check("offset", offsets, number, 4 * own)
            self._check("score", scores, number, self.num_classes)
        return ((1, 1, None, 7),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Gather the rows of a batch of any size; the priors have no batch."""
        offsets, scores, _ = self._parts(batched)
        return Batch.ABSENT if all(offsets) and all(scores) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use Caffe's order; images to be shown keep their layout, as they are ignored."""
        read = 3 if self.groups == 1 else len(inputs)
        layouts = (Layout.plain(v.rank) if i < read else v.layout for i, v in enumerate(inputs))
        return Arrangement(inputs=tuple(layouts), outputs=(Layout.plain(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no decoder of SSD's boxes."""
        if ctx.fixed_rows and self.keep_top_k < 0:
            raise LayerError(
                "a fixed number of rows requires detection_output_param.keep_top_k of 0 or more; without it, an image "
                "may have any number of detections"
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
        """Split `items`, one for each bottom, into those of offsets, of scores and of priors."""
        n = self.groups
        return (items[:1], items[1:2], items[2:3]) if n == 1 else (items[n : 2 * n], items[:n], items[2 * n :])

    def _priors(self, shape: Shape) -> int | None:
        """Return the number of prior boxes; None if unknown."""
        if not 3 <= len(shape) <= 4:
            raise LayerError(f"the priors must be (1, 2, 4 x number of priors), not {format_shape(shape)}")
        values = count(shape[1:])
        if shape[2] is None or values is None:
            return None
        number = shape[2] // 4
        if values < 8 * number:
            raise LayerError(
                "the priors must hold boxes and variances, (1, 2, 4 x number of priors), as PriorBox gives them; "
                f"{format_shape(shape)} has no room for variances"
            )
        return number

    def _check(self, what: str, shapes: Sequence[Shape], priors: int, values: int) -> None:
        extents = [s[1] for s in shapes]
        if None not in extents and sum(e or 0 for e in extents) != priors * values:
            raise LayerError(
                f"for {priors} priors and num_classes {self.num_classes} with share_location "
                f"{str(self.share_location).lower()}, there must be {priors * values} {what}s for each image, {values} "
                f"for each prior, not {sum(e or 0 for e in extents)}"
            )


def _suppression(p: DetectionOutputParameter) -> NonMaximumSuppressionParameter:
    """Return ``nms_param``, or its fields as an early version of SSD states them."""
    early = {name: getattr(p, name) for name in ("nms_threshold", "top_k") if p.HasField(name)}
    return p.nms_param if p.HasField("nms_param") or not early else type(p.nms_param)(**early)


def _groups(bottoms: int) -> int:
    """Return the number of bottoms that offsets and scores are spread over."""
    if bottoms == 2:
        raise LayerError("there must be three bottoms (offsets, scores, priors), not 2")
    if bottoms == 5:
        raise LayerUnsupportedError(
            "RefineDet's DetectionOutput, which has five bottoms, is not supported; end the network before it"
        )
    if bottoms in (3, 4):
        return 1
    if bottoms == 2 * _GROUPS + 1:
        return _GROUPS
    raise LayerUnsupportedError(
        "there must be 3 bottoms (offsets, scores, priors), 4 (and images), or 13 (scores and offsets of 6 feature "
        f"maps, and priors), not {bottoms}; concatenate the predictions of all feature maps with Concat layers"
    )


def _joined(role: str, values: Sequence[Value]) -> Expr:
    return values[0] if len(values) == 1 else keras("Concatenate", axis=1, role=role)(*values)


def _listed(numbers: set[int]) -> str:
    return " and ".join(map(str, sorted(numbers)))
