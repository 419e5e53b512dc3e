"""General helpers: atomic files, checksums, the cache folder, threads.

Imports no other room.
"""
