# Type stub of the native module. tests/ops/test_ops_build.py checks that it agrees with cpp/bindings.
# The kernels check all arguments and allocate what is None of their last arguments, the arrays they write to.
# `direct` is set by the torch operators in ops/_torch.py.

from typing import Any

__version__: str
compiler: str

def border_band(masks: Any, kernel_size: Any, shape: Any, iterations: Any, out: Any, direct: bool = False) -> Any: ...
def border_band_from_contours(
    contours: Any,
    size: Any,
    offsets: Any,
    rule: Any,
    kernel_size: Any,
    shape: Any,
    iterations: Any,
    out: Any,
    direct: bool = False,
) -> Any: ...
def cuda_built() -> bool: ...
def cuda_devices() -> list[str]: ...
def decode_heatmaps(
    heatmaps: Any, method: Any, window: Any, points: Any, confidence: Any, direct: bool = False
) -> Any: ...
def default_threads() -> int: ...
def dilate(masks: Any, kernel_size: Any, shape: Any, iterations: Any, out: Any, direct: bool = False) -> Any: ...
def distance_transform(masks: Any, spacing: Any, out: Any, direct: bool = False) -> Any: ...
def erode(masks: Any, kernel_size: Any, shape: Any, iterations: Any, out: Any, direct: bool = False) -> Any: ...
def fill_polygons(points: Any, size: Any, offsets: Any, rule: Any, out: Any, direct: bool = False) -> Any: ...
def normalized_surface_dice(
    predicted: Any, true: Any, tolerance: Any, spacing: Any, out: Any, direct: bool = False
) -> Any: ...
def render_heatmaps(
    landmarks: Any,
    size: Any,
    kind: Any,
    sigma: Any,
    radius: Any,
    band: Any,
    dtype: Any,
    out: Any,
    previous: Any,
    direct: bool = False,
) -> Any: ...
def render_targets(
    contours: Any,
    landmarks: Any,
    size: Any,
    offsets: Any,
    rule: Any,
    kernel_size: Any,
    shape: Any,
    iterations: Any,
    kind: Any,
    sigma: Any,
    radius: Any,
    dtype: Any,
    mask: Any,
    band: Any,
    heatmaps: Any,
    previous: Any,
    direct: bool = False,
) -> Any: ...
def simd_level() -> str: ...
def simd_levels() -> list[str]: ...
def surface_distances(predicted: Any, true: Any, spacing: Any, hd95: Any, assd: Any, direct: bool = False) -> Any: ...
