"""Nothing of the field: files that appear whole or not at all, checksums, the cache folder, threads.

This room imports no other room.
"""
