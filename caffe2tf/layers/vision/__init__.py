"""Layers of sliding windows over images and volumes: convolution, pooling, correlation."""
