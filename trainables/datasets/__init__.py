"""Labelled images: read from what people have, stored once as memory-mapped Arrow, identified by their
content.
"""
