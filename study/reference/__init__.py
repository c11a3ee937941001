"""The reference page, made of the code: every key of the study file, every dimension, environment variable
and command.
"""
