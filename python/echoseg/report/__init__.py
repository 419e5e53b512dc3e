"""Tables, figures, films and HTML pages.

This room imports evaluation, quality and what these import.
"""
