"""The local page on which a person corrects contours.

This room imports inference and what it imports.
"""
