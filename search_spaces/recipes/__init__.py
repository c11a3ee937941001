"""The named recipes, one file per source, each with its `RECIPES`."""
