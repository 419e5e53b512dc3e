"""The kernels alone, in a plain PyTorch training loop: targets are drawn by the worker processes of a DataLoader.

    python examples/foreign_loop.py

Only ``echoseg.ops`` is used. The data are dark ellipses in noise; the network learns a mask and four heatmaps.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from echoseg.ops import fill_polygons, render_targets

SIZE = 48, 48


class Ellipses(Dataset):
    """A frame (H, W) float32 and its contour (32, 2) float32, pixels: all that is stored of a sample."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(index)
        centre, axes = random.uniform(18, 30, 2), random.uniform(6, 14, 2)
        angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        contour = (centre + axes * np.stack([np.sin(angle), -np.cos(angle)], axis=1)).astype(np.float32)
        frame = random.normal(0, 1, SIZE) - 2 * fill_polygons(contour[None], SIZE)[0]
        return frame.astype(np.float32), contour


def draw(samples: list[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Collate: frames (N, 1, H, W) and targets (N, 5, H, W) float32, drawn for the whole batch in one call."""
    frames, contours = map(np.stack, zip(*samples, strict=True))
    landmarks = np.ascontiguousarray(contours[:, ::8])  # top, right, bottom, left
    mask, _, heatmaps = render_targets(contours, landmarks, SIZE, sigma=3.0)
    targets = np.concatenate([mask[:, None].astype(np.float32), heatmaps], axis=1)
    return torch.from_numpy(frames[:, None]), torch.from_numpy(targets)


def main(*, images: int = 256, epochs: int = 5, workers: int = 2) -> list[np.ndarray]:
    """Train; returns (2,) loss and Dice for each epoch."""
    torch.manual_seed(0)
    inner = [nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 16, 5, padding=2), nn.ReLU()]
    network = nn.Sequential(*inner, nn.Conv2d(16, 5, 5, padding=2))
    optimizer, history = torch.optim.Adam(network.parameters(), lr=3e-3), []
    loader = DataLoader(Ellipses(images), batch_size=16, shuffle=True, num_workers=workers, collate_fn=draw)
    for epoch in range(epochs):
        scores = []
        for frames, targets in loader:
            logits = network(frames)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found, true = logits[:, 0] > 0, targets[:, 0] > 0
            scores.append((loss.item(), (2 * (found & true).sum() / (found.sum() + true.sum())).item()))
        history.append(np.mean(scores, axis=0))
        print("epoch {}: loss {:.3f}, Dice {:.3f}".format(epoch + 1, *history[-1]))
    return history


if __name__ == "__main__":
    main()
