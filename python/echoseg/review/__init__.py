"""The local page on which a person corrects contours.

This room imports inference, report and what they import.
"""
