"""Keras layers that apply windows to images: convolution, pooling, correlation and warping."""
