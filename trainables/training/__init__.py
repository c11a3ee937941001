"""The training loop and its parts: steps, losses, optimizers, schedules, several processes, and what it takes
of a device.
"""
