"""Finds unusable and suspicious parts of a data set, for `echoseg check`.

This room imports evaluation (of tracings, without a run), datasets, io, geometry, ops and utils.
"""
