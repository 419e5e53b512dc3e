"""The half-width of 95 % intervals."""

NORMAL_95 = 1.96
"""Half-width of the 95 % interval of a normal distribution, in standard deviations."""
