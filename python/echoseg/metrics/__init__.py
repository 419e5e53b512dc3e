"""Metrics: overlap, surface distances, landmark errors, volumes, beats, EF agreement, calibration, bootstrap.

Imports utils, ops and geometry.
"""
