"""Peers that are compiled by numba, once per process: polygon fills, a band by counting, and heatmaps by window."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def scanline():
    """fill(points, masks): the crossings of each row, sorted; spans between pairs of them (rule "center")."""
    import numba

    @numba.njit
    def fill(points, masks):
        height, width = masks.shape[1:]
        corners = points.shape[1]
        crossings = np.empty((height, corners), np.int32)
        found = np.zeros(height, np.int32)
        for i in range(len(points)):
            masks[i] = 0
            first, last = height, 0
            for p in range(corners):
                x0, y0 = points[i, p - 1, 0], points[i, p - 1, 1]
                x1, y1 = points[i, p, 0], points[i, p, 1]
                if y0 > y1:
                    x0, y0, x1, y1 = x1, y1, x0, y0
                top, bottom = max(0, int(np.ceil(y0))), min(height, int(np.ceil(y1)))
                if top >= bottom:
                    continue
                first, last = min(first, top), max(last, bottom)
                slope = (np.float64(x1) - x0) / (np.float64(y1) - y0)
                for row in range(top, bottom):
                    column = np.int32(np.ceil(x0 + (row - y0) * slope))
                    k = found[row]
                    while k > 0 and crossings[row, k - 1] > column:
                        crossings[row, k] = crossings[row, k - 1]
                        k -= 1
                    crossings[row, k] = column
                    found[row] += 1
            for row in range(first, last):
                for k in range(0, found[row], 2):
                    masks[i, row, max(0, crossings[row, k]) : min(width, crossings[row, k + 1])] = 1
                found[row] = 0

    return fill


@cache
def signed_areas():
    """cover(points, shares): exact areas of simple polygons within the image.

    Each edge is cut at rows and columns. It adds the area to its right to its pixel and the next one. Sums along the
    rows give the result.
    """
    import numba

    @numba.njit
    def cover(points, shares):
        count, height, width = shares.shape
        for i in range(count):
            shares[i] = 0
            first, last = height, 0
            for p in range(points.shape[1]):
                x0, y0 = points[i, p - 1, 0] + 0.5, points[i, p - 1, 1] + 0.5
                x1, y1 = points[i, p, 0] + 0.5, points[i, p, 1] + 0.5
                sign = 1.0
                if y0 > y1:
                    x0, y0, x1, y1, sign = x1, y1, x0, y0, -1.0
                if y0 == y1:
                    continue
                slope = (x1 - x0) / (y1 - y0)
                first, last = min(first, int(y0)), max(last, int(np.ceil(y1)))
                for row in range(int(y0), int(np.ceil(y1))):
                    top, bottom = max(y0, row), min(y1, row + 1)
                    start, end = x0 + (top - y0) * slope, x0 + (bottom - y0) * slope
                    left, right, tall = min(start, end), max(start, end), sign * (bottom - top)
                    for column in range(int(left), int(right) + 1):
                        a, b = max(left, column), min(right, column + 1)
                        part = tall * (b - a) / (right - left) if right > left else tall
                        middle = (a + b) / 2 - column
                        shares[i, row, column] += part * (1 - middle)
                        shares[i, row, column + 1] += part * middle
            for row in range(first, last):
                total = np.float32(0)
                for x in range(width):
                    total += shares[i, row, x]
                    shares[i, row, x] = abs(total)

    return cover


@cache
def counting_band():
    """band(masks, out, reach): the pixels with some, but not all, pixels of their window set."""
    import numba

    # on slices: with offsets in the index, numba's loops are not vectorised

    @numba.njit
    def add(total, row):
        for x in range(len(total)):
            total[x] += row[x]

    @numba.njit
    def subtract(total, row):
        for x in range(len(total)):
            total[x] -= row[x]

    @numba.njit
    def compare(out, total, rows, columns):
        for x in range(len(out)):
            out[x] = (total[x] > 0) & (total[x] < np.int16(rows * columns[x]))

    @numba.njit
    def band(masks, out, reach):
        count, height, width = masks.shape
        padded = np.zeros(width + 2 * reach, np.int16)  # how many are set in each column of the window's rows
        below = padded[reach : reach + width]
        total = np.empty(width, np.int16)
        columns = np.array([min(width, x + reach + 1) - max(0, x - reach) for x in range(width)]).astype(np.int16)
        for i in range(count):
            below[:] = 0
            for row in range(min(reach, height)):
                add(below, masks[i, row])
            for row in range(height):
                if row + reach < height:
                    add(below, masks[i, row + reach])
                if row - reach > 0:
                    subtract(below, masks[i, row - reach - 1])
                total[:] = padded[:width]
                for shift in range(1, 2 * reach + 1):
                    add(total, padded[shift : shift + width])
                compare(out[i, row], total, min(height, row + reach + 1) - max(0, row - reach), columns)

    return band


@cache
def windows():
    """render(marks, band, out, sigma, radius): zeroes the output, then draws Gaussian × band in each disc's window."""
    import numba

    @numba.njit(fastmath=True)
    def render(marks, band, out, sigma, radius):
        count, planes, height, width = out.shape
        columns = np.empty(width, np.float32)
        factor = np.float32(-1 / (2 * sigma**2))
        limit = np.float32(radius**2)
        for i in range(count):
            out[i] = 0
            for k in range(planes):
                mark_x, mark_y = marks[i, k, 0], marks[i, k, 1]
                left, right = max(0, int(np.ceil(mark_x - radius))), min(width, int(mark_x + radius) + 1)
                top, bottom = max(0, int(np.ceil(mark_y - radius))), min(height, int(mark_y + radius) + 1)
                for x in range(left, right):
                    columns[x] = np.exp((np.float32(x) - mark_x) ** 2 * factor)
                for y in range(top, bottom):
                    down = (np.float32(y) - mark_y) ** 2
                    row = np.exp(down * factor)
                    for x in range(left, right):
                        inside = band[i, y, x] and down + (np.float32(x) - mark_x) ** 2 <= limit
                        out[i, k, y, x] = row * columns[x] if inside else np.float32(0)

    return render


@cache
def separable():
    """render(points, out, sigma): full Gaussian planes, as products of a factor per row and a factor per column."""
    import numba

    @numba.njit(fastmath=True)
    def render(points, out, sigma):
        count, planes, height, width = out.shape
        rows, columns = np.empty(height, np.float32), np.empty(width, np.float32)
        factor = np.float32(-1 / (2 * sigma**2))
        for i in range(count):
            for k in range(planes):
                for y in range(height):
                    rows[y] = np.exp((np.float32(y) - points[i, k, 1]) ** 2 * factor)
                for x in range(width):
                    columns[x] = np.exp((np.float32(x) - points[i, k, 0]) ** 2 * factor)
                for y in range(height):
                    for x in range(width):
                        out[i, k, y, x] = rows[y] * columns[x]

    return render
