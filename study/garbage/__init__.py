"""Garbage: what a home, MLflow and a cluster hold that nothing needs any more."""
