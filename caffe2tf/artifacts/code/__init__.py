"""Writers of source code: the module of the network, the layers that Keras lacks, and stubs."""
