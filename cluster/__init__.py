"""Where studies run: connecting to Ray. Knows addresses and resources, not studies."""
