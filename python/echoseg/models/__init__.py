"""The network, its losses, and the codec of each approach.

This room imports ops, geometry and datasets.
"""
