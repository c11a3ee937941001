"""From images to class probabilities: a network in evaluation mode, a trained classifier, several as one, a
program without Python.
"""
