"""Calls each operator once per size on a CUDA device and compares the results with the CPU's.

    python tests/stress/cuda_operators.py
    compute-sanitizer --tool memcheck --error-exitcode 1 python tests/stress/cuda_operators.py

The second form finds accesses out of bounds; the tools racecheck, synccheck and initcheck find races, wrong barriers
and reads of memory that nothing wrote. `bench/on_gpu.sh` runs all four. The exit code is 1 if a result differs, and 2
without a device.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from _operators import operators, to_torch

SIZES = [(112, 112), (37, 129), (70, 300)]
COUNT = 5
OFF = {"decode_heatmaps": 1e-3}  # the tolerance where that of the others does not apply


def differences(device: str, size: tuple[int, int]) -> dict[str, float]:
    """Return the operators whose results differ from the CPU's by more than the tolerance, and by how much."""
    found = {}
    for name, operator in operators(COUNT, size).items():
        here = operator.run()
        there = operator.run(
            *(
                {key: tensor.to(device) for key, tensor in to_torch(arrays).items()}
                for arrays in (operator.arrays, operator.outs)
            )
        )
        pairs = [(torch.from_numpy(a).double(), b.cpu().double()) for a, b in zip(here, there, strict=True)]
        off = max(float((a - b).nan_to_num(0.0).abs().max()) for a, b in pairs)  # inf - inf is NaN
        if off > OFF.get(name, 1e-6):
            found[name] = off
    return found


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA device")
        return 2
    found = {size: differences("cuda", size) for size in SIZES}
    for size, names in found.items():
        print(f"{size[0]}×{size[1]}: {names or 'equal'}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
