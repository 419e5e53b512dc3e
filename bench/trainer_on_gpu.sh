#!/bin/sh
# Everything of the trainer that needs a GPU, once: its tests, images per second with and without CUDA graphs, and the
# time to a foreground Dice of 0.94 with the default settings.
#
#     bench/trainer_on_gpu.sh
#
# echoseg must be importable with its CUDA kernels; see on_gpu.sh, which builds them.
set -u
cd "$(dirname "$0")/.."
nvidia-smi -L
python3 -m pytest -o addopts= -q -m cuda tests/training tests/models tests/stress/test_same_bits.py
for shape in "16 16" "16 64" "64 64"; do
    set -- $shape
    for graph in --cuda-graph --no-cuda-graph; do
        echo "width $1, batch $2, $graph"
        python3 bench/trainer.py --device cuda --width "$1" --batch-size "$2" --images 6400 --epochs 3 "$graph"
    done
done
python3 -m echoseg phantom build/phantom10000 --store --videos 10000
python3 -m echoseg train --approach landmark --data build/phantom10000 --out build/default-on-gpu --log text
