"""Finds unusable and suspicious parts of a data set, for `echoseg check`.

Imports utils, ops, geometry, io and datasets.
"""
