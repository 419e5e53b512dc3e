"""Finds unusable and suspicious parts of a data set, for `echoseg check`.

This room imports evaluation, for what no run is needed, and datasets, io, geometry, ops and utils.
"""
