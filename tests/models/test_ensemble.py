from __future__ import annotations

import numpy as np
import torch

from echoseg.models.ensemble import Ensemble
from echoseg.models.unet import UNet


def test_an_ensemble_has_the_mean_of_the_logits_and_of_the_attention():
    torch.manual_seed(0)
    networks = [UNet(2, width=4, depth=2, attention=True).eval() for _ in range(3)]
    frames = torch.randint(0, 256, (2, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        logits, maps = Ensemble(networks).forward_with_attention(frames)
        expected = [network.forward_with_attention(frames) for network in networks]
        np.testing.assert_allclose(Ensemble(networks)(frames), logits)
    np.testing.assert_allclose(logits, np.mean([part[0].numpy() for part in expected], axis=0), atol=1e-6)
    assert len(maps) == 2
    for level, found in enumerate(maps):
        np.testing.assert_allclose(found, np.mean([part[1][level].numpy() for part in expected], axis=0), atol=1e-6)
