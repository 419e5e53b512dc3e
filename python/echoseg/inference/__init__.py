"""Apply a trained run to frames and files: predictor, post-processing, measurements, many files, export.

This room imports training and what it imports, io and phantom.
"""
