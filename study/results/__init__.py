"""Results: a study's outcome, its cost, and how it would have gone under another early-stopping rule."""
