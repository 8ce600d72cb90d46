"""Layers over images: convolution, pooling, correlation."""
