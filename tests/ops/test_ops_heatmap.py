from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echoseg.ops import border_band, fill_polygons, render_heatmaps
from reference import distance, heatmaps, narrow

SIZE = (60, 90)
STYLES = [{"radius": 8.0}, {"sigma": 2.0}, {"sigma": 9.0}, {"kind": "euclidean", "radius": 14.0}]


def some_landmarks(seed, count=4, per_image=7):
    random = np.random.default_rng(seed)
    return random.uniform([-20, -20], [SIZE[1] + 20, SIZE[0] + 20], (count, per_image, 2)).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.2, 1, 4, 5.5, 40, 1e4])
@pytest.mark.parametrize("radius", [None, 8, 10.5, 1000])
def test_gaussian_equals_the_formula(sigma, radius):
    landmarks = some_landmarks(0)
    expected = heatmaps(landmarks, SIZE, sigma=sigma, radius=np.inf if radius is None else radius)
    np.testing.assert_allclose(
        render_heatmaps(landmarks, SIZE, sigma=sigma, radius=radius), expected, atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("radius", [0.5, 3, 10, 500])
def test_euclidean_equals_the_formula(radius):
    landmarks = some_landmarks(1)
    expected = heatmaps(landmarks, SIZE, "euclidean", radius=radius)
    np.testing.assert_allclose(
        render_heatmaps(landmarks, SIZE, kind="euclidean", radius=radius), expected, atol=1e-6, rtol=0
    )


def test_radius_is_the_largest_distance():
    landmarks = np.array([[[30, 20]]], np.float32)
    heatmap = render_heatmaps(landmarks, SIZE, radius=5)[0, 0]
    np.testing.assert_array_equal(heatmap > 0, distance(landmarks, SIZE)[0, 0] <= 5)


@pytest.mark.parametrize("kind", ["gaussian", "euclidean"])
def test_a_heatmap_is_zero_outside_the_band_only(kind):
    random = np.random.default_rng(2)
    band = (random.random((4, *SIZE)) < 0.5).astype(np.uint8) * 255
    landmarks = some_landmarks(2)
    full = render_heatmaps(landmarks, SIZE, kind=kind, radius=12)
    cut = render_heatmaps(landmarks, SIZE, kind=kind, radius=12, band=band)
    np.testing.assert_array_equal(cut, full * (band[:, None] > 0))


@given(st.integers(0, 2**32 - 1), st.integers(1, 140), st.integers(1, 70), st.floats(0.01, 100), st.booleans())
def test_any_size_sigma_and_position(seed, width, height, sigma, far):
    random = np.random.default_rng(seed)
    landmarks = random.uniform(-(2**20) if far else -30, 2**20 if far else 170, (2, 3, 2)).astype(np.float32)
    band = (random.random((2, height, width)) < 0.7).astype(np.uint8)
    got = render_heatmaps(landmarks, (height, width), sigma=sigma, radius=30, band=band)
    expected = heatmaps(landmarks, (height, width), sigma=sigma, radius=30, band=band)
    # At a distance equal to the radius, rounding decides whether a pixel is 0.
    unsure = abs(distance(landmarks, (height, width)) - 30) < 1e-4
    np.testing.assert_allclose(np.where(unsure, 0, got), np.where(unsure, 0, expected), atol=1e-6, rtol=0)


def test_values_are_between_zero_and_one_with_a_maximum_of_one():
    landmarks = np.round(some_landmarks(3)).clip(0, 59)
    for arguments in ({}, {"kind": "euclidean", "radius": 6}):
        drawn = render_heatmaps(landmarks, SIZE, **arguments)
        assert drawn.min() == 0
        assert (drawn.max(axis=(2, 3)) == 1).all()


def test_no_denormal_numbers():
    drawn = render_heatmaps(some_landmarks(4), SIZE, sigma=2)
    assert drawn[drawn > 0].min() > np.finfo(np.float32).tiny


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "uint8"])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("banded", [False, True])
def test_narrower_types_are_rounded_float32(dtype, style, banded):
    landmarks = torch.from_numpy(some_landmarks(8))
    band = (torch.rand(4, *SIZE, generator=torch.Generator().manual_seed(8)) < 0.5).to(torch.uint8) if banded else None
    out = torch.full((4, 7, *SIZE), 9, dtype=getattr(torch, dtype))
    assert render_heatmaps(landmarks, SIZE, band=band, dtype=dtype, out=out, **style) is out
    expected = narrow(render_heatmaps(landmarks, SIZE, band=band, **style).numpy(), dtype)
    np.testing.assert_array_equal((out.float() if dtype == "bfloat16" else out).numpy(), expected)
    if dtype != "bfloat16":
        band = None if band is None else band.numpy()
        drawn = render_heatmaps(landmarks.numpy(), SIZE, band=band, dtype=dtype, **style)
        assert drawn.dtype == dtype
        np.testing.assert_array_equal(drawn, expected)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("size", "banded"), [((300, 509), True), ((300, 509), False), ((2, 80_001), False)])
def test_planes_that_exceed_the_caches(dtype, style, size, banded):
    """They are written by streaming stores; here to an address that is not aligned to a cache line."""
    random = np.random.default_rng(9)
    count, per_image = 2, int(np.ceil(17e6 / np.prod(size) / np.dtype(dtype).itemsize))
    landmarks = random.uniform([-9, -9], [size[1] + 9, size[0] + 9], (count, per_image, 2)).astype(np.float32)
    band = (random.random((count, *size)) < 0.5).astype(np.uint8) if banded else None
    memory = np.full(count * per_image * np.prod(size) + 1, 9, dtype)
    out = memory[1:].reshape(count, per_image, *size)
    assert out.nbytes > 2**25
    render_heatmaps(landmarks, size, band=band, dtype=dtype, out=out, **style)
    assert memory[0] == 9
    for i in range(count):
        few = render_heatmaps(
            landmarks[i : i + 1], size, band=None if band is None else band[i : i + 1], dtype=dtype, **style
        )
        np.testing.assert_array_equal(out[i], few[0])


@given(st.integers(0, 2**32 - 1), st.sampled_from(STYLES), st.sampled_from(["float32", "float16", "uint8"]))
def test_previous_landmarks(seed, style, dtype):
    random = np.random.default_rng(seed)
    size = tuple(int(n) for n in random.integers(1, 100, 2))
    out, previous = np.zeros((3, 2, *size), dtype), np.full((3, 2, 2), -(2.0**20), np.float32)
    for _ in range(4):
        landmarks = random.uniform([-20, -20], [size[1] + 20, size[0] + 20], (3, 2, 2)).astype(np.float32)
        band = (random.random((3, *size)) < 0.5).astype(np.uint8) if random.random() < 0.7 else None
        fresh = render_heatmaps(landmarks, size, band=band, dtype=dtype, **style)
        render_heatmaps(landmarks, size, band=band, dtype=dtype, out=out, previous=previous, **style)
        np.testing.assert_array_equal(out, fresh)
        previous = landmarks


def test_invalid_previous_and_dtype():
    landmarks, out = some_landmarks(10), np.zeros((4, 7, *SIZE), np.float32)
    with pytest.raises(ValueError, match="previous requires out"):
        render_heatmaps(landmarks, SIZE, previous=landmarks)
    with pytest.raises(ValueError, match=r"previous must have the shape \(4, 7, 2\), not \(3, 7, 2\)"):
        render_heatmaps(landmarks, SIZE, previous=landmarks[:3], out=out)
    with pytest.raises(ValueError, match="previous must be finite"):
        render_heatmaps(landmarks, SIZE, previous=landmarks * np.inf, out=out)
    with pytest.raises(ValueError, match="unknown dtype 'float64'; known: float32, bfloat16, float16, uint8"):
        render_heatmaps(landmarks, SIZE, dtype="float64")
    with pytest.raises(ValueError, match="NumPy has no bfloat16; pass torch tensors"):
        render_heatmaps(landmarks, SIZE, dtype="bfloat16")
    with pytest.raises(TypeError, match="out must be float16, not float32"):
        render_heatmaps(landmarks, SIZE, dtype="float16", out=out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "laplace"}, "unknown kind 'laplace'; known: gaussian, euclidean"),
        ({"kind": "euclidean"}, "requires a radius"),
        ({"sigma": 0.0}, "sigma must be between"),
        ({"sigma": float("nan")}, "sigma must be between"),
        ({"radius": -1.0}, "radius must be between"),
        ({"band": np.zeros((4, 60, 91), np.uint8)}, r"band must have the shape \(4, 60, 90\)"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        render_heatmaps(some_landmarks(5), SIZE, **arguments)


def test_invalid_landmarks():
    landmarks = some_landmarks(6)
    landmarks[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"landmarks must be finite.*point 7 is not"):
        render_heatmaps(landmarks, SIZE)


def test_targets_of_rodriguez_valencia():
    """Heatmaps of landmarks on the contour, limited to the band of that contour."""
    angle = np.linspace(0, 2 * np.pi, 42, endpoint=False)
    contour = (56 + 30 * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)[None]
    band = border_band(fill_polygons(contour, (112, 112), rule="opencv"), iterations=2)
    drawn = render_heatmaps(contour[:, ::6].copy(), (112, 112), sigma=5, radius=10, band=band)
    assert drawn.shape == (1, 7, 112, 112)
    assert ((drawn > 0) <= (band[:, None] > 0)).all()
