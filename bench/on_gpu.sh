#!/bin/sh
# Everything of the CUDA kernels that needs a GPU, once: the tests, compute-sanitizer over every operator, and the
# benchmarks of the kernels of another checkout and of this one, on one machine in one run.
#
#     git worktree add before COMMIT && bench/on_gpu.sh before NAME
#
# writes bench/results/NAME.json and, for the other checkout, NAME-before.json. It needs no network, but nvcc, CMake,
# Ninja, compute-sanitizer, pybind11, pytest, pytest-benchmark, and torch with CUDA. Peers that are not installed are
# named and skipped: pip install kornia monai cupy-cuda13x cucim-cu13.
set -eu
before=$(cd "$1" && pwd)
name=$2
cd "$(dirname "$0")/.."
nvidia-smi -L

build() {
    mkdir -p "$1/build"
    cmake -S "$1" -B "$1/build/gpu" -G Ninja -DCMAKE_BUILD_TYPE=Release -DECHOSEG_CUDA=ON \
        -DCMAKE_CUDA_ARCHITECTURES=native -DPython_EXECUTABLE="$(command -v python3)" \
        -Dpybind11_DIR="$(python3 -m pybind11 --cmakedir)" >"$1/build/gpu.log"
    cmake --build "$1/build/gpu" >>"$1/build/gpu.log"
    cp "$1"/build/gpu/_core*.so "$1/python/echoseg/"
}

build .
build "$before"
export PYTHONPATH="$PWD/python"
failed=""
python3 -m pytest -o addopts= -q -m cuda tests/ops || failed="$failed tests"
for tool in memcheck racecheck synccheck initcheck; do
    compute-sanitizer --tool $tool --error-exitcode 1 python3 tests/stress/cuda_operators.py || failed="$failed $tool"
done
PYTHONPATH="$before/python" python3 -m pytest bench/bench_cuda.py --benchmark-only --save "$name-before"
python3 -m pytest bench/bench_cuda.py --benchmark-only --save "$name"
python3 bench/table.py "$name-before"
python3 bench/table.py "$name"
echo "failed:${failed:- nothing}"
test -z "$failed"
