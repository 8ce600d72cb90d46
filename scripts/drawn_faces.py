"""A picture with two faces made of ellipses: input for a face detector that is not a photograph of anyone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FACES", "Face", "draw_faces"]

Image = npt.NDArray[np.float32]
Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """The position and colours of a face.

    Attributes:
        x: Centre in pixels from the left.
        y: Centre in pixels from the top.
        size: About half the height in pixels.
        tilt: Rotation in radians.
        skin: Colour of the skin, red first, 0 to 255.
        hair: Colour of the hair.
    """

    x: float
    y: float
    size: float
    tilt: float
    skin: Colour
    hair: Colour


FACES = (
    Face(x=95, y=105, size=48, tilt=-0.05, skin=(222, 172, 140), hair=(60, 40, 28)),
    Face(x=228, y=98, size=40, tilt=0.10, skin=(190, 135, 100), hair=(25, 20, 18)),
)


def draw_faces(height: int = 240, width: int = 320, seed: int = 3) -> npt.NDArray[np.uint8]:
    """Return the picture, (height, width, 3), red first. The same seed gives the same picture."""
    rng = np.random.default_rng(seed)
    canvas = _Canvas(height, width)
    for _ in range(14):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(10, 60)
        spot = np.clip(1.2 - np.hypot(canvas.x - x, canvas.y - y) / radius, 0, 1)
        canvas.blend(0.4 * spot, rng.uniform(40, 220, 3))
    for face in FACES:
        _draw(canvas, face)
    blurred = _blurred(canvas.image) + rng.normal(0, 2.5, canvas.image.shape)
    return np.clip(blurred, 0, 255).astype(np.uint8)


class _Canvas:
    """An image to paint on."""

    def __init__(self, height: int, width: int) -> None:
        self.y, self.x = np.mgrid[:height, :width].astype(np.float32)
        down, across = self.y / height, self.x / width
        self.image = np.stack([150 + 40 * down, 160 + 30 * across, 190 - 50 * down], -1)

    def blend(self, mask: Image, colour: npt.ArrayLike) -> None:
        """Paint with a colour, as opaque as the mask, which holds values from 0 to 1."""
        self.image = self.image * (1 - mask[..., None]) + mask[..., None] * np.asarray(colour, np.float32)

    def ellipse(self, face: Face, u: float, v: float, a: float, b: float, soft: float = 0.12, turn: float = 0) -> Image:
        """Return the mask of an ellipse around (u, v) with half axes (a, b), in units of the size of the face."""
        cos, sin = np.cos(face.tilt), np.sin(face.tilt)
        dx = self.x - (face.x + face.size * (cos * u - sin * v))
        dy = self.y - (face.y + face.size * (sin * u + cos * v))
        cos, sin = np.cos(face.tilt + turn), np.sin(face.tilt + turn)
        distance = np.hypot((cos * dx + sin * dy) / (a * face.size), (cos * dy - sin * dx) / (b * face.size))
        mask: Image = np.clip((1 - distance) / soft + 0.5, 0, 1)
        return mask


def _draw(canvas: _Canvas, face: Face) -> None:
    skin, hair = np.asarray(face.skin), np.asarray(face.hair)

    def paint(mask: Image, colour: npt.ArrayLike, strength: float = 1) -> None:
        canvas.blend(strength * mask, colour)

    paint(canvas.ellipse(face, 0, 1.75, 1.5, 0.75, 0.1), (60, 70, 120))  # shoulders
    paint(canvas.ellipse(face, 0, 1.0, 0.42, 0.62, 0.1), skin * 0.72)  # neck
    paint(canvas.ellipse(face, 0, -0.28, 0.98, 1.15, 0.1), hair)
    head = canvas.ellipse(face, 0, 0.08, 0.78, 1.02, 0.08)
    paint(head, skin[None, None] * _light(canvas, face)[..., None])
    paint(canvas.ellipse(face, 0, -0.92, 0.72, 0.42, 0.25), hair, 0.95)
    for side in (-1, 1):
        _draw_eye(canvas, face, side)
        paint(canvas.ellipse(face, 0.80 * side, 0.05, 0.10, 0.22, 0.25), skin * 0.8)  # ear
        paint(canvas.ellipse(face, 0.075 * side, 0.37, 0.05, 0.03, 0.5), skin * 0.35, 0.8)  # nostril
    paint(canvas.ellipse(face, 0.06, 0.12, 0.05, 0.28, 0.9), skin * 0.55, 0.35)  # nose
    paint(canvas.ellipse(face, 0, 0.60, 0.30, 0.10, 0.3), (165, 75, 75), 0.9)  # mouth
    paint(canvas.ellipse(face, 0, 0.595, 0.27, 0.022, 0.5), (80, 25, 25))


def _draw_eye(canvas: _Canvas, face: Face, side: int) -> None:
    skin, hair = np.asarray(face.skin), np.asarray(face.hair)
    u = 0.33 * side
    canvas.blend(0.45 * canvas.ellipse(face, u, -0.12, 0.26, 0.17, 0.5), skin * 0.55)
    canvas.blend(canvas.ellipse(face, u, -0.10, 0.17, 0.085, 0.15), (235, 232, 228))
    canvas.blend(canvas.ellipse(face, u, -0.10, 0.085, 0.085, 0.2), (70, 45, 30))
    canvas.blend(canvas.ellipse(face, u, -0.10, 0.04, 0.04, 0.3), (10, 10, 10))
    canvas.blend(0.8 * canvas.ellipse(face, u, -0.17, 0.19, 0.04, 0.4), skin * 0.35)
    canvas.blend(0.9 * canvas.ellipse(face, u, -0.31, 0.22, 0.045, 0.4, 0.12 * side), hair)


def _light(canvas: _Canvas, face: Face) -> Image:
    """Return the brightness of a head that is lit from the left."""
    cos, sin = np.cos(face.tilt), np.sin(face.tilt)
    dx, dy = canvas.x - face.x, canvas.y - face.y - 0.08 * face.size
    u, v = (cos * dx + sin * dy) / (0.78 * face.size), (cos * dy - sin * dx) / (1.02 * face.size)
    round_: Image = 0.62 + 0.42 * np.sqrt(np.clip(1 - (0.95 * u) ** 2 - (0.8 * v) ** 2, 0, 1)) - 0.10 * u
    return np.clip(round_, 0.3, 1.15)


def _blurred(image: Image) -> Image:
    weights = np.array([1, 4, 6, 4, 1], np.float32) / 16
    for axis in (0, 1):
        padded = np.pad(image, [(2, 2) if a == axis else (0, 0) for a in range(3)], "edge")
        parts = (np.take(padded, range(i, i + image.shape[axis]), axis=axis) for i in range(5))
        image = sum((w * p for w, p in zip(weights, parts, strict=True)), np.zeros_like(image))
    return image
