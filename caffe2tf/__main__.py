"""Lets `python -m caffe2tf` do what `caffe2tf` does."""

from caffe2tf.cli import main

if __name__ == "__main__":
    main()
