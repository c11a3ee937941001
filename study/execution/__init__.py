"""Ray Tune: the adapters that let it execute what the study decides. Ray is imported here and in `cluster` only."""
