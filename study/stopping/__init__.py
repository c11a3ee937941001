"""Early stopping: rules that compare trials by their recorded epochs."""
