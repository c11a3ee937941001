"""Reports: what the terminal shows, as tables for a person or as JSON."""
