"""Connections: MLflow's server, its model registry, databases."""
