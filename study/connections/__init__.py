"""Connections to what a study leans on: MLflow's server, the registry of models, databases."""
