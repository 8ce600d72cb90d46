"""Inputs of a network, and the sinks at its ends."""
