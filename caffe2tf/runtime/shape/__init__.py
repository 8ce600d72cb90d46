"""Layers that move, cut, join or repeat values."""
