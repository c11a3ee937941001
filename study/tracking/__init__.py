"""MLflow runs: the study's from its driver, each trial's from its own process. MLflow is imported here and in `registry` only."""
