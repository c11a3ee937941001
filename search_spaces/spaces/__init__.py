"""The named search spaces, one file each, each with its `SPACE`."""
