"""From points of a search space to recipes."""
