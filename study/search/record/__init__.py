"""The record of a study: its trials, their epochs, checkpoints and weights, in a storage that survives any
death of a process.
"""
