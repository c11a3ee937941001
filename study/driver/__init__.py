"""The driver: one process that takes a study from its file to a registered model."""
