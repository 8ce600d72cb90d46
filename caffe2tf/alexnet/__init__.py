"""AlexNet, from the published .caffemodel to TensorFlow: regenerated weight files, and a proof that they are right.

    alexnet.regenerate("bvlc_alexnet.caffemodel", "bvlc_alexnet.npy")
    model = alexnet.build("bvlc_alexnet.npy")
    print(alexnet.check("bvlc_alexnet.npy", caffemodel="bvlc_alexnet.caffemodel").same)

The package carries a definition of the network, and what real Caffe computed with it for weights and an input that
`caffe2tf.alexnet.drawn` draws again on any machine.
"""

from caffe2tf.alexnet.checking import AlexNetReport, WeightVerdict, check, compare_with_recording
from caffe2tf.alexnet.network import activations, build
from caffe2tf.alexnet.recorded import definition_path, draw_images, recorded_activations, write_drawn_caffemodel
from caffe2tf.alexnet.regeneration import Regenerated, regenerate

__all__ = [
    "AlexNetReport",
    "Regenerated",
    "WeightVerdict",
    "activations",
    "build",
    "check",
    "compare_with_recording",
    "definition_path",
    "draw_images",
    "recorded_activations",
    "regenerate",
    "write_drawn_caffemodel",
]
