"""From a point of a search space to a recipe that can be trained."""
