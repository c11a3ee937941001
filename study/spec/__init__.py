"""The study file: what a person writes, one file for each part, checked against nothing but itself."""
