# The native module, for type checkers. tests/test_ops_build.py keeps it in step with cpp/bindings.
# Arrays are addresses; 0 stands for none.

from collections.abc import Sequence
from typing import Any

__version__: str
compiler: str

def addresses(arrays: Sequence[Any]) -> list[int]: ...
def border_band(
    masks: int,
    count: int,
    height: int,
    width: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    out: int,
    threads: int,
) -> None: ...
def border_band_from_contours(
    points: int,
    offsets: int,
    count: int,
    points_each: int,
    height: int,
    width: int,
    rule: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    out: int,
    threads: int,
) -> None: ...
def cover_polygons(
    points: int,
    offsets: int,
    count: int,
    points_each: int,
    height: int,
    width: int,
    areas: int,
    threads: int,
) -> None: ...
def cuda_band_scratch(count: int, height: int, width: int, kernel_size: int, shape: int, iterations: int) -> int: ...
def cuda_border_band(
    masks: int,
    count: int,
    height: int,
    width: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    out: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_border_band_from_contours(
    points: int,
    offsets: int,
    count: int,
    points_each: int,
    height: int,
    width: int,
    rule: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    out: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_cover_polygons(
    points: int,
    offsets: int,
    count: int,
    points_each: int,
    height: int,
    width: int,
    areas: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_decode_heatmaps(
    heatmaps: int,
    planes: int,
    height: int,
    width: int,
    method: int,
    window: float,
    points: int,
    confidence: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_dilate(
    masks: int,
    count: int,
    height: int,
    width: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    out: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_distance_scratch(count: int, height: int, width: int) -> int: ...
def cuda_distance_transform(
    masks: int,
    count: int,
    height: int,
    width: int,
    spacing_y: float,
    spacing_x: float,
    out: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_erode(
    masks: int,
    count: int,
    height: int,
    width: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    out: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_fill_polygons(
    points: int,
    offsets: int,
    count: int,
    points_each: int,
    height: int,
    width: int,
    rule: int,
    masks: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_fill_scratch(count: int, height: int, width: int) -> int: ...
def cuda_heatmap_scratch(count: int, height: int, width: int) -> int: ...
def cuda_render_heatmaps(
    landmarks: int,
    previous: int,
    count: int,
    per_image: int,
    height: int,
    width: int,
    kind: int,
    sigma: float,
    radius: float,
    type: int,
    band: int,
    heatmaps: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_render_targets(
    points: int,
    offsets: int,
    count: int,
    points_each: int,
    landmarks: int,
    previous: int,
    per_image: int,
    height: int,
    width: int,
    rule: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    kind: int,
    sigma: float,
    radius: float,
    type: int,
    masks: int,
    band: int,
    heatmaps: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_surface_distances(
    predicted: int,
    true_masks: int,
    count: int,
    height: int,
    width: int,
    spacing_y: float,
    spacing_x: float,
    hd95: int,
    assd: int,
    scratch: int,
    stream: int,
    device: int,
) -> None: ...
def cuda_surface_scratch(count: int, height: int, width: int) -> int: ...
def cuda_built() -> bool: ...
def cuda_devices() -> list[str]: ...
def decode_heatmaps(
    heatmaps: int,
    planes: int,
    height: int,
    width: int,
    method: int,
    window: float,
    points: int,
    confidence: int,
    threads: int,
) -> None: ...
def default_threads() -> int: ...
def dilate(
    masks: int,
    count: int,
    height: int,
    width: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    out: int,
    threads: int,
) -> None: ...
def distance_transform(
    masks: int,
    count: int,
    height: int,
    width: int,
    spacing_y: float,
    spacing_x: float,
    out: int,
    threads: int,
) -> None: ...
def erode(
    masks: int,
    count: int,
    height: int,
    width: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    out: int,
    threads: int,
) -> None: ...
def fill_polygons(
    points: int,
    offsets: int,
    count: int,
    points_each: int,
    height: int,
    width: int,
    rule: int,
    masks: int,
    threads: int,
) -> None: ...
def find_overlap(starts: Sequence[int], bytes: Sequence[int], outs: int) -> tuple[int, int] | None: ...
def find_bad_point(points: int, count: int) -> int: ...
def render_heatmaps(
    landmarks: int,
    previous: int,
    count: int,
    per_image: int,
    height: int,
    width: int,
    kind: int,
    sigma: float,
    radius: float,
    type: int,
    band: int,
    heatmaps: int,
    threads: int,
) -> None: ...
def render_targets(
    points: int,
    offsets: int,
    count: int,
    points_each: int,
    landmarks: int,
    previous: int,
    per_image: int,
    height: int,
    width: int,
    rule: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    kind: int,
    sigma: float,
    radius: float,
    type: int,
    masks: int,
    band: int,
    heatmaps: int,
    threads: int,
) -> None: ...
def simd_level() -> str: ...
def simd_levels() -> list[str]: ...
def surface_distances(
    predicted: int,
    true_masks: int,
    count: int,
    height: int,
    width: int,
    spacing_y: float,
    spacing_x: float,
    hd95: int,
    assd: int,
    threads: int,
) -> None: ...
