"""Run the command line with `python -m caffe2tf`."""

from caffe2tf.cli import main

if __name__ == "__main__":
    main()
