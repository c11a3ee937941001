"""What people have: one file for each family of sources, each giving the same `Source`."""
