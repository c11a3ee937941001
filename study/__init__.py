"""Composition: a study file in; trials run by Ray Tune, recorded by MLflow; the best configuration
registered.
"""
