"""Layers of object detectors."""
