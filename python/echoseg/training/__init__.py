"""Configuration, batches, the training loop, checkpoints, devices.

This room imports models, datasets, metrics and what these import.
"""
