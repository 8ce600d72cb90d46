"""AlexNet and ResNet-50 as a person would write them in Keras, for comparison with emitted models."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers

__all__ = ["LocalResponseNormalization", "alexnet", "resnet50"]


class LocalResponseNormalization(layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Normalisation across channels; ``alpha`` applies to one channel, not to the window."""

    def __init__(self, radius: int, alpha: float, beta: float, **options: object) -> None:
        super().__init__(**options)
        self.radius, self.alpha, self.beta = radius, alpha, beta

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the normalised tensor."""
        return tf.nn.local_response_normalization(
            inputs, depth_radius=self.radius, bias=1.0, alpha=self.alpha, beta=self.beta
        )


def alexnet() -> keras.Model:
    """Return AlexNet with its two groups of channels, for 227 x 227 pixels."""
    image = keras.Input((227, 227, 3))
    x = layers.Conv2D(96, 11, strides=4, activation="relu")(image)
    x = LocalResponseNormalization(2, 1e-4 / 5, 0.75)(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.Conv2D(256, 5, padding="same", groups=2, activation="relu")(x)
    x = LocalResponseNormalization(2, 1e-4 / 5, 0.75)(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.Conv2D(384, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(384, 3, padding="same", groups=2, activation="relu")(x)
    x = layers.Conv2D(256, 3, padding="same", groups=2, activation="relu")(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(4096, activation="relu")(x)
        x = layers.Dropout(0.5)(x)
    return keras.Model(image, layers.Dense(1000, activation="softmax")(x))


def resnet50() -> keras.Model:
    """Return ResNet-50 in its first form, with the stride in the first convolution of a block."""
    image = keras.Input((224, 224, 3))
    x = layers.ZeroPadding2D(3)(image)
    x = _normalised(layers.Conv2D(64, 7, strides=2)(x))
    x = layers.Activation("relu")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for stage, count in enumerate([3, 4, 6, 3]):
        for number in range(count):
            x = _block(x, 64 << stage, 2 if stage and not number else 1, project=not number)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(1000, activation="softmax")(x))


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=1e-5)(x)


def _block(x: keras.KerasTensor, width: int, stride: int, *, project: bool) -> keras.KerasTensor:
    shortcut = x
    if project:
        shortcut = _normalised(layers.Conv2D(4 * width, 1, strides=stride, use_bias=False)(x))
    x = _normalised(layers.Conv2D(width, 1, strides=stride, use_bias=False)(x))
    x = layers.Activation("relu")(x)
    x = _normalised(layers.Conv2D(width, 3, padding="same", use_bias=False)(x))
    x = layers.Activation("relu")(x)
    x = _normalised(layers.Conv2D(4 * width, 1, use_bias=False)(x))
    return layers.Activation("relu")(layers.Add()([shortcut, x]))
