"""Evaluation: choosing a configuration over seeds, and measuring it on the sealed test split."""
