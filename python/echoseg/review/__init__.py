"""The local page on which a person corrects contours.

This room imports evaluation, report and what they import.
"""
