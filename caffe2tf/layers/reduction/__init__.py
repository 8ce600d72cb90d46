"""Layers that reduce a blob along some of its axes."""
