"""Tracking: everything that MLflow is sent about a study and its trials."""
