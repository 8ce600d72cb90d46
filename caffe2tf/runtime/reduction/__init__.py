"""Keras layers that reduce axes."""
