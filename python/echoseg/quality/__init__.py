"""What looks wrong in a data set, for `echoseg check`.

This room imports datasets, io, geometry, ops and utils.
"""
