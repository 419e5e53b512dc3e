"""Configuration, batches, the training loop, checkpoints, devices.

This room imports models, datasets and what these import.
"""
