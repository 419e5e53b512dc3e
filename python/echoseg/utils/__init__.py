"""General helpers: atomic files, checksums, tables of text, the cache folder, threads.

Imports no other room.
"""
