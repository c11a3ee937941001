"""Dimensions that several spaces share, one file for each part of a training."""
