"""Graph to Python source and weight files, without TensorFlow."""
