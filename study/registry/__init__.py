"""The registry: versions of a dataset's model, comparison of versions, promotion and its log."""
