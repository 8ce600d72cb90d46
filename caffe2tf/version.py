"""The version of caffe2tf. setup.cfg reads it from this file."""

__all__ = ["__version__"]

__version__ = "0.1.0"
