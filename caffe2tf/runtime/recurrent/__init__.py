"""Keras layers that are recurrent."""
