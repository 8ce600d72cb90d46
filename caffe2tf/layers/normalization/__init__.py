"""Batch, channel, response and vector normalization."""
