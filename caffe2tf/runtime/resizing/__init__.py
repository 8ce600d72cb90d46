"""Keras layers that resize images."""
