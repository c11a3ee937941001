"""The output of a network's frozen layers, computed once for each image and kept on the machine."""
