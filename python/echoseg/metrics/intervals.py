"""The width of a 95 % interval of a normal distribution: one constant for all that is reported."""

NORMAL_95 = 1.96
"""Standard deviations to either side of the mean."""
