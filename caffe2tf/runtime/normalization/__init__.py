"""Keras layers for batch, mean-variance, local response and vector normalization."""
