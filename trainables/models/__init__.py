"""Networks by name, cut into stages, starting from random or pretrained weights."""
