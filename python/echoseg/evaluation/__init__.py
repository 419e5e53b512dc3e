"""A run against a data set: tables of images and volumes, comparisons, and studies.

This room imports inference and what it imports.
"""
