"""An untrusted file → frames, frame rate and spacing.

Videos, DICOM, volumes, images, tables; decoded by worker processes.
This room imports utils; works without torch.
"""
