"""Composition: a study file in, trials by Ray Tune, runs in MLflow, a registered model out."""
