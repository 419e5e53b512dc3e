"""Overlap, surface distances, landmark errors, volumes, beats, EF agreement, calibration, bootstrap.

This room imports utils, ops and geometry.
"""
