"""The families of architectures, one file each, each with its `ARCHITECTURES`; none imports torch."""
