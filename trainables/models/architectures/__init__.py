"""The families of architectures, each with its `ARCHITECTURES` in a file of its own, `*_family.py`; none
imports torch.
"""
