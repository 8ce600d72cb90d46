"""The schema of Caffe files as message classes: `caffe_pb2`, generated from proto/caffe.proto."""
