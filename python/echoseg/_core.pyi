# Type stub of the native module. tests/test_ops_build.py checks that it agrees with cpp/bindings.
# Arrays are passed as addresses; 0 stands for None.

from collections.abc import Sequence
from typing import Any

__version__: str
compiler: str

class Execution:
    def __init__(self, threads: int, device: int = -1, stream: int = 0, workspace: int = 0) -> None: ...

class HeatmapOptions:
    def __init__(self, kind: int, sigma: float, radius: float, type: int) -> None: ...

class StructuringElement:
    def __init__(self, size: int, shape: int, iterations: int) -> None: ...

class TargetOptions:
    def __init__(
        self,
        rule: int,
        kernel_size: int,
        shape: int,
        iterations: int,
        kind: int,
        sigma: float,
        radius: float,
        type: int,
    ) -> None: ...

def addresses(arrays: Sequence[Any]) -> list[int]: ...
def band_workspace_bytes(count: int, height: int, width: int, element: StructuringElement) -> int: ...
def border_band(
    masks: int, count: int, height: int, width: int, element: StructuringElement, out: int, execution: Execution
) -> None: ...
def border_band_from_contours(
    points: int,
    offsets: int,
    count: int,
    points_per_contour: int,
    height: int,
    width: int,
    rule: int,
    element: StructuringElement,
    out: int,
    execution: Execution,
) -> None: ...
def cover_polygons(
    points: int,
    offsets: int,
    count: int,
    points_per_contour: int,
    height: int,
    width: int,
    areas: int,
    execution: Execution,
) -> None: ...
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
    execution: Execution,
) -> None: ...
def default_threads() -> int: ...
def dilate(
    masks: int, count: int, height: int, width: int, element: StructuringElement, out: int, execution: Execution
) -> None: ...
def distance_transform(
    masks: int,
    count: int,
    height: int,
    width: int,
    spacing_y: float,
    spacing_x: float,
    out: int,
    execution: Execution,
) -> None: ...
def distance_workspace_bytes(count: int, height: int, width: int) -> int: ...
def erode(
    masks: int, count: int, height: int, width: int, element: StructuringElement, out: int, execution: Execution
) -> None: ...
def fill_polygons(
    points: int,
    offsets: int,
    count: int,
    points_per_contour: int,
    height: int,
    width: int,
    rule: int,
    masks: int,
    execution: Execution,
) -> None: ...
def fill_workspace_bytes(count: int, height: int, width: int) -> int: ...
def find_invalid_point(points: int, count: int) -> int: ...
def find_overlap(starts: Sequence[int], bytes: Sequence[int], outs: int) -> tuple[int, int] | None: ...
def heatmap_workspace_bytes(count: int, height: int, width: int) -> int: ...
def render_heatmaps(
    points: int,
    previous: int,
    count: int,
    per_image: int,
    height: int,
    width: int,
    options: HeatmapOptions,
    band: int,
    heatmaps: int,
    execution: Execution,
) -> None: ...
def render_targets(
    points: int,
    offsets: int,
    count: int,
    points_per_contour: int,
    landmark_points: int,
    previous: int,
    per_image: int,
    height: int,
    width: int,
    options: TargetOptions,
    masks: int,
    band: int,
    heatmaps: int,
    execution: Execution,
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
    execution: Execution,
) -> None: ...
def surface_workspace_bytes(count: int, height: int, width: int) -> int: ...
def target_workspace_bytes(count: int, height: int, width: int, options: TargetOptions) -> int: ...
