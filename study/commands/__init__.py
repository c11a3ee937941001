"""Commands: what a person types after `study`, by subject."""
