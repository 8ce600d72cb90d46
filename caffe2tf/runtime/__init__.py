"""Keras layers that emitted models may need.

Each file depends on keras and tensorflow alone, and on other files of this package; the source of what a model uses is
copied beside it, so that a deployed model never imports caffe2tf.
"""
