"""How a study goes while it runs: its state by its folder alone, and its view on a terminal."""
