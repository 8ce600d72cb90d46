"""Activations, dropout and softmax."""
