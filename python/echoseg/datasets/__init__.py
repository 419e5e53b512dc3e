"""A folder → tracings: one reader a format, the store of decoded frames, splits by patient.

This room imports utils, geometry and io; works without torch.
"""
