"""Points only, NumPy only: from tracings to contours, landmarks and curves."""

from echoseg.geometry.contour import ORDERINGS, contour_area, order_contour

__all__ = ["ORDERINGS", "contour_area", "order_contour"]
