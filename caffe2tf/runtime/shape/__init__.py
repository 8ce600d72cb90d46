"""Keras layers that move, cut, pad, reshape or repeat values."""
