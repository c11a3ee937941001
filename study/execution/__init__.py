"""Execution by Ray: trials on actors, their GPUs, and what becomes of them when a process or a machine
dies.
"""
