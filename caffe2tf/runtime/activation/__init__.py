"""Keras layers for activations, dropout and softmax."""
