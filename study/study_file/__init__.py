"""The study file: what a person writes, key by key, and the edits that people make while the study runs."""
