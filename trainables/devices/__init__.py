"""The device a training runs on: its choice, its memory, its threads, its random numbers, and tensors in
files.
"""
