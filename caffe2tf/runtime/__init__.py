"""Keras layers for what Caffe computes and Keras does not, or does by another rule.

The packages mirror those of `caffe2tf.layers`. Each file imports only Keras, TensorFlow, NumPy and other files of this
package. A conversion copies the source of the classes that a model uses to ``caffe_layers.py`` next to it, so that a
deployed model never imports caffe2tf.

Images have their channels last, ``(N, H, W, C)``, unless a layer takes an `axis`. Keras casts floating-point inputs to
the layer's compute dtype, and the outputs have that dtype, unless the layer says otherwise.
"""
