"""Reads untrusted files: frames, frame rate and spacing of videos, DICOM, volumes and images.

Worker processes decode the pixels. Imports utils; works without torch.
"""
