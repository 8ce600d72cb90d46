"""Keras layers that prepare the images a network reads."""
