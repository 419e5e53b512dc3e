"""Points only: contours, landmarks, splines, discs, crop and resize.

Imports utils.
"""

from echoseg.geometry.contour import ORDERINGS, contour_area, order_contour

__all__ = ["ORDERINGS", "contour_area", "order_contour"]
