"""Keras layers of object detectors."""
