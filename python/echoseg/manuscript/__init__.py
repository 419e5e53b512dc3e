"""A run as the parts of a paper: tables, figures, methods, checklist and manifest. May import report, evaluation,
training, datasets, metrics and utils.
"""
