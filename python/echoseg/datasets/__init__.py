"""Reads data sets: one reader per format, the store of decoded frames, splits by patient.

Imports utils, geometry and io; works without torch.
"""
