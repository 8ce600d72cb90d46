"""Layers that move, select, concatenate or repeat values."""
