"""Keras layers that compute losses and metrics."""
