"""Slow, obvious oracles for the kernels, and the polygons that they are tried on."""

from __future__ import annotations

import numpy as np


def fill_center(contour: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Even-odd at pixel centres, each pixel against each edge, without a division: exact on a grid of 1/32 pixel."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    inside = np.zeros(size, bool)
    for (xa, ya), (xb, yb) in zip(
        contour.astype(np.float64), np.roll(contour, -1, axis=0).astype(np.float64), strict=True
    ):
        (x0, y0), (x1, y1) = ((xa, ya), (xb, yb)) if ya <= yb else ((xb, yb), (xa, ya))
        inside ^= (y0 <= y) & (y < y1) & ((x - x0) * (y1 - y0) >= (y - y0) * (x1 - x0))
    return inside.astype(np.uint8)


def fill_opencv(contour: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    mask = np.zeros(size, np.uint8)
    if len(contour):
        cv2.fillPoly(mask, [np.rint(contour).astype(np.int32)], 1)
    return mask


def _shoelace(polygon: list[tuple[float, float]]) -> float:
    return sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True)) / 2


def _clip(polygon: list[tuple[float, float]], axis: int, low: float, high: float) -> list[tuple[float, float]]:
    """Sutherland and Hodgman: what lies between low and high along one axis."""
    for sign, bound in ((1, low), (-1, high)):
        kept = []
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            if sign * (a[axis] - bound) >= 0:
                kept.append(a)
            if (a[axis] - bound) * (b[axis] - bound) < 0:
                t = (bound - a[axis]) / (b[axis] - a[axis])
                kept.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))
        polygon = kept
    return polygon


def area(contour: np.ndarray) -> float:
    """Without its sign."""
    return abs(_shoelace([(float(x), float(y)) for x, y in contour]))


def coverage(contour: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The outline clipped to each pixel, a unit square about its centre, and measured there."""
    areas = np.zeros(size)
    outline = [(float(x), float(y)) for x, y in contour]
    for y in range(size[0]):
        row = _clip(outline, 1, y - 0.5, y + 0.5)
        for x in range(size[1]):
            areas[y, x] = min(1, abs(_shoelace(_clip(row, 0, x - 0.5, x + 0.5))))
    return areas


def kernel(kernel_size: int, shape: str) -> np.ndarray:
    import cv2

    return cv2.getStructuringElement(getattr(cv2, f"MORPH_{shape.upper()}"), (kernel_size, kernel_size))


def dilate(mask: np.ndarray, element: np.ndarray, iterations: int = 1) -> np.ndarray:
    """One shifted copy for each offset of the structuring element, zeros coming in from outside."""
    anchor, (height, width) = len(element) // 2, mask.shape
    for _ in range(iterations):
        padded = np.pad(mask, len(element))
        mask = np.zeros_like(mask)
        for row, column in np.argwhere(element):
            top, left = len(element) + row - anchor, len(element) + column - anchor
            mask |= padded[top : top + height, left : left + width]
    return mask


def erode(mask: np.ndarray, element: np.ndarray, iterations: int = 1) -> np.ndarray:
    """The dilation of what is not there; outside the image nothing is missing."""
    return 1 - dilate(1 - mask, element, iterations)


def distance(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, K, H, W) float64."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.hypot(x - landmarks[..., 0, None, None].astype(float), y - landmarks[..., 1, None, None].astype(float))


def heatmaps(
    landmarks: np.ndarray,
    size: tuple[int, int],
    kind: str = "gaussian",
    sigma: float = 4.0,
    radius: float = np.inf,
    band: np.ndarray | None = None,
) -> np.ndarray:
    d = distance(landmarks, size)
    values = np.exp(-(d**2) / (2 * sigma**2)) if kind == "gaussian" else np.maximum(0, 1 - d / radius)
    values = np.where(d <= radius, values, 0)
    return values if band is None else values * (band[:, None] != 0)


def narrow(heatmaps: np.ndarray, dtype: str) -> np.ndarray:
    """float32 in [0, 1] as another dtype, to nearest even; bfloat16 as the float32 that it stands for."""
    if dtype == "uint8":
        return np.rint(np.float32(255) * heatmaps).astype(np.uint8)
    if dtype == "bfloat16":  # its neighbours are 2**(e - 7) apart
        step = np.exp2(np.floor(np.log2(np.maximum(heatmaps.astype(float), 1e-300))) - 7)
        return (np.rint(heatmaps / step) * step).astype(np.float32)
    return heatmaps.astype(dtype)


def first_maximum(plane: np.ndarray) -> tuple[int, int]:
    """(x, y)"""
    y, x = np.unravel_index(plane.argmax(), plane.shape)
    return int(x), int(y)


def soft_argmax(plane: np.ndarray, window: float) -> tuple[float, float]:
    """The centroid of a window that follows it, with the share that the window has of each row and column."""
    point = np.array(first_maximum(plane), float)
    values = np.maximum(plane.astype(float), 0)
    for _ in range(32):
        shares = []
        for at, pixels in zip(point, plane.shape[::-1], strict=True):
            reach = min(window, at + 0.5, pixels - 0.5 - at)
            left, right = np.arange(pixels) - 0.5, np.arange(pixels) + 0.5
            shares.append(np.maximum(np.minimum(right, at + reach) - np.maximum(left, at - reach), 0))
        weights = values * shares[0] * shares[1][:, None]
        if weights.sum() == 0:
            break
        y, x = np.indices(plane.shape)
        moved = np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()
        close = np.hypot(*(moved - point)) < 1e-3
        point = moved
        if close:
            break
    return point[0], point[1]


def dark(plane: np.ndarray) -> tuple[float, float]:
    """A step of Newton's method on the logarithm, if it can be taken and is short."""
    x, y = first_maximum(plane)
    around = plane[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].astype(float)
    cross = [(2, i) for i in range(5)] + [(i, 2) for i in range(5)] + [(1, 1), (1, 3), (3, 1), (3, 3)]
    if around.shape != (5, 5) or x < 2 or y < 2 or min(around[c] for c in cross) <= 0:
        return x, y
    log = np.log(np.maximum(around, 1e-300))
    gradient = np.array([log[2, 3] - log[2, 1], log[3, 2] - log[1, 2]]) / 2
    mixed = (log[3, 3] - log[3, 1] - log[1, 3] + log[1, 1]) / 4
    across, down = ((line[4] - 2 * line[2] + line[0]) / 4 for line in (log[2], log[:, 2]))
    hessian = np.array([[across, mixed], [mixed, down]])
    if across >= 0 or np.linalg.det(hessian) <= 0:
        return x, y
    step = -np.linalg.solve(hessian, gradient)
    return (x + step[0], y + step[1]) if abs(step).max() <= 1 else (x, y)


def distance_transform(mask: np.ndarray, spacing: tuple[float, float] = (1, 1)) -> np.ndarray:
    """Each pixel that is not 0 against each 0."""
    steps = np.array(spacing, np.float64)
    distances = np.zeros(mask.shape)
    zeros = np.argwhere(mask == 0)
    for pixel in np.argwhere(mask):
        distances[tuple(pixel)] = min((np.hypot(*offset) for offset in (zeros - pixel) * steps), default=np.inf)
    return distances


def border(mask: np.ndarray) -> np.ndarray:
    """(n, 2): the foreground pixels that have a neighbour, of four, which is background or not there at all."""
    padded = np.pad(mask != 0, 1)
    ways = ((0, 1), (1, 0), (0, -1), (-1, 0))
    found = [(y, x) for y, x in np.argwhere(mask) if not all(padded[y + 1 + dy, x + 1 + dx] for dy, dx in ways)]
    return np.array(found).reshape(-1, 2)


def surface_distances(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float] = (1, 1)) -> tuple[float, float]:
    """(HD95, ASSD) of two masks from all pairs of border pixels."""
    border_a, border_b = border(a) * np.float64(spacing), border(b) * np.float64(spacing)
    if not len(border_a) or not len(border_b):
        worst = np.inf if len(border_a) or len(border_b) else 0.0
        return worst, worst
    distances = np.linalg.norm(border_a[:, None] - border_b[None], axis=2)
    near_a, near_b = distances.min(axis=1), distances.min(axis=0)
    hd95 = max(np.percentile(near_a, 95), np.percentile(near_b, 95))
    return hd95, np.concatenate([near_a, near_b]).mean()


def contour(mask: np.ndarray, spacing: tuple[float, float] = (1, 1)) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) corners of pixels on a mask's contour, and (n,) the lengths of the contour there."""
    dy, dx = spacing
    half = 0.5 * np.sqrt(dy**2 + dx**2)
    padded = np.pad(mask != 0, 1).astype(int)
    corners, lengths = [], []
    for y, x in np.ndindex(mask.shape[0] + 1, mask.shape[1] + 1):
        pixels = padded[y : y + 2, x : x + 2]
        if pixels.sum() in (0, 4):
            continue
        corners.append((y, x))
        if pixels.sum() in (1, 3):
            lengths.append(half)
        elif pixels[0, 0] == pixels[0, 1]:
            lengths.append(dx)
        elif pixels[0, 0] == pixels[1, 0]:
            lengths.append(dy)
        else:
            lengths.append(2 * half)
    return np.array(corners).reshape(-1, 2), np.array(lengths)


def normalized_surface_dice(
    a: np.ndarray, b: np.ndarray, tolerance: float, spacing: tuple[float, float] = (1, 1)
) -> float:
    """NSD of two masks from all pairs of corners."""
    (corners_a, lengths_a), (corners_b, lengths_b) = contour(a, spacing), contour(b, spacing)
    if not len(corners_a) or not len(corners_b):
        return 0.0 if len(corners_a) or len(corners_b) else np.nan
    steps = (corners_a[:, None] - corners_b[None]) * np.float64(spacing)
    near = np.sqrt(steps[..., 0] ** 2 + steps[..., 1] ** 2) <= tolerance
    covered = lengths_a[near.any(axis=1)].sum() + lengths_b[near.any(axis=0)].sum()
    return covered / (lengths_a.sum() + lengths_b.sum())


def random_polygon(random: np.random.Generator, size: tuple[int, int], points: int) -> np.ndarray:
    """(points, 2) float32 of one of ten kinds, most of them nasty."""
    height, width = size
    extent = np.array([width, height], float)
    kind = random.integers(10)
    angle = np.sort(random.uniform(0, 2 * np.pi, points))
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if kind == 0:  # convex, about the image
        polygon = random.uniform(0, 1, 2) * extent + circle * random.uniform(1, max(size))
    elif kind == 1:  # a star: concave, in the image
        polygon = extent / 2 + circle * random.uniform(0.1, 0.5, (points, 1)) * extent
    elif kind == 2:  # self-intersecting
        polygon = random.uniform(0, 1, (points, 2)) * extent
    elif kind == 3:  # partly off the image
        polygon = random.uniform(-1, 2, (points, 2)) * extent
    elif kind == 4:  # mostly off the image
        polygon = random.normal(0, 10, (points, 2)) * extent
    elif kind == 5:  # tiny
        polygon = random.uniform(0, 1, 2) * extent + random.normal(0, 1.5, (points, 2))
    elif kind == 6:  # as far out as is allowed
        polygon = random.uniform(-(2**20), 2**20, (points, 2))
    elif kind == 7:  # vertices on pixel centres
        polygon = np.round(random.uniform(-0.1, 1.1, (points, 2)) * extent)
    elif kind == 8:  # corners, edges and middles of the image, again and again: collinear and repeated points
        polygon = random.integers(-3, 4, (points, 2)) * extent / 2
    else:  # vertices on a grid of 1/32 pixel, where rounding could go wrong
        polygon = np.round(random.uniform(-0.1, 1.1, (points, 2)) * extent * 32) / 32
    return polygon.astype(np.float32)


def random_batch(
    random: np.random.Generator, size: tuple[int, int], count: int, most: int = 16
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Contours, and the same as (points, offsets)."""
    contours = [random_polygon(random, size, int(random.integers(1, most))) for _ in range(count)]
    offsets = np.cumsum([0] + [len(c) for c in contours])
    return contours, np.concatenate(contours), offsets.astype(np.int64)
