"""The drawing of a network."""

from __future__ import annotations

import pytest

from echoseg.report import architecture
from echoseg.report.architecture import architecture_figure
from echoseg.training import checkpoint
from echoseg.training.config import Config
from echoseg.training.summary import summarise_network


@pytest.mark.parametrize(
    "settings", [{}, {"attention": True, "network": "resunet"}, {"skips": False}, {"bottleneck": False, "depth": 1}]
)
def test_the_drawing_shows_channels_sizes_and_skips(tmp_path, monkeypatch, settings):
    figures = []
    monkeypatch.setattr(architecture, "save_figure", lambda figure, path: figures.append(figure))
    config = Config(**{"approach": "mask", "size": (32, 48), "width": 4, "depth": 3, **settings})
    model, _ = checkpoint.build(config)
    architecture_figure(summarise_network(model, config.size), config, tmp_path / "network.png")
    (axis,) = figures[0].axes
    texts = [text.get_text() for text in axis.texts]
    depth, deepest = config.depth, 4 * 2 ** (config.depth - (not config.bottleneck))
    sizes = [f"{32 >> level}×{48 >> level}" for level in range(depth + 1)]
    # frame and output beside the first level; twice each other level but the deepest
    assert [texts.count(size) for size in sizes] == [4, *[2] * (depth - 1), 1]
    assert str(deepest) in texts
    assert texts.count("attention gate") == (depth if config.attention else 0)
    dashed = [text for text in axis.texts if getattr(text, "arrow_patch", None) and text.arrow_patch.get_ls() == "--"]
    assert len(dashed) == (depth if config.skips else 0)
    assert axis.get_title().startswith("ResU-Net" if config.network == "resunet" else "U-Net")
