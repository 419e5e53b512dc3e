"""Evaluate runs on data sets: tables of images and volumes, comparisons, and studies.

This room imports inference and what it imports.
"""
