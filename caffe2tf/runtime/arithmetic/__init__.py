"""Keras layers that add, multiply, look up or hold trained values."""
