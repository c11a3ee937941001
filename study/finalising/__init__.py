"""Finalising: the best configurations are confirmed with further seeds, one is chosen and measured once on the sealed test split."""
