"""Registered models: what a study leaves behind for others to use."""
