"""A trained run applied to frames and files: predictor, post-processing, measurements, archives, export.

This room imports training and what it imports, io and phantom.
"""
