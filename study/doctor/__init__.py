"""What is wrong in a home, and what of it can be mended."""
