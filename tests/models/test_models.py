from __future__ import annotations

import numpy as np
import pytest
import torch

from echoseg.errors import DataError
from echoseg.geometry.landmarks import SCHEMES, choose_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.geometry.spline import OUTLINES
from echoseg.models import codec as codecs
from echoseg.models.codec import scheme_for
from echoseg.models.losses import HEATMAP_LOSSES, MASK_LOSSES, coordinate_loss, region_weight
from echoseg.models.unet import NORMS, ResidualBlock, UNet
from echoseg.ops import decode_heatmaps, fill_polygons, render_heatmaps
from echoseg.training import checkpoint
from echoseg.training import config as configs
from echoseg.training.config import LOSSES, Config

CPU = torch.device("cpu")
TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def tiny(**settings):
    return Config(**{**TINY, **settings})


def even(logits):
    return torch.ones(logits.shape[2:])


# -- the network


def test_unet_shapes_and_gain_invariance():
    torch.manual_seed(0)
    model = UNet(3, width=4, depth=2).eval()
    frames = torch.randint(0, 100, (2, 32, 48), dtype=torch.uint8)
    with torch.inference_mode():
        logits = model(frames)
        brighter = model(frames * 2 + 30)
    assert logits.shape == (2, 3, 32, 48)
    torch.testing.assert_close(logits, brighter, atol=0.05, rtol=0.05)


def test_unet_takes_a_constant_frame():
    assert torch.isfinite(UNet(1, width=4, depth=2)(torch.zeros(2, 16, 16, dtype=torch.uint8))).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_unet_variants_learn(norm, attention, bottleneck, residual):
    torch.manual_seed(0)
    variant = {"norm": norm, "attention": attention, "bottleneck": bottleneck, "residual": residual}
    model = UNet(2, width=4, depth=2, dropout=0.1, **variant)
    frames = torch.randint(0, 255, (2, 32, 48), dtype=torch.uint8)
    logits, maps = model.forward_with_attention(frames)
    assert logits.shape == (2, 2, 32, 48)
    assert [tuple(found.shape) for found in maps] == ([(2, 1, 16, 24), (2, 1, 32, 48)] if attention else [])
    assert all(((found >= 0) & (found <= 1)).all() for found in maps)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("width", [1, 3, 8, 12, 20])
def test_group_normalization_takes_any_width(width):
    assert UNet(1, width=width, depth=2, norm="group")(torch.zeros(1, 16, 16, dtype=torch.uint8)).shape == (
        1,
        1,
        16,
        16,
    )


@pytest.mark.parametrize("skips", [False, True])
def test_without_skips_all_passes_through_the_deepest_level(skips):
    torch.manual_seed(0)
    model = UNet(1, width=4, depth=2, skips=skips).eval()
    torch.nn.init.zeros_(model.up[0].weight)  # cuts the deepest level off
    frames = torch.randint(0, 255, (2, 1, 16, 16), dtype=torch.uint8)
    assert torch.equal(model(frames[0]), model(frames[1])) != skips


@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_residual_block_is_its_shortcut_where_its_convolutions_are_zero(inputs, norm):
    block = ResidualBlock(inputs, 3, norm).eval()
    torch.nn.init.zeros_(block.convolutions[-1].weight)
    if norm == "none":
        torch.nn.init.zeros_(block.convolutions[-1].bias)
    x = torch.randn(2, inputs, 8, 8)
    before = x.clone()
    torch.testing.assert_close(block(x), block.shortcut(before))
    assert torch.equal(x, before)  # the skip connection needs it unchanged


def test_impossible_networks_are_refused():
    with pytest.raises(ValueError, match="known: batch, group, none"):
        UNet(1, norm="layer")
    with pytest.raises(ValueError, match="skip"):
        UNet(1, attention=True, skips=False)


# -- losses


def test_the_configuration_knows_every_name():
    assert set(LOSSES["mask"]) == set(MASK_LOSSES)
    assert set(LOSSES["landmark"]) == set(HEATMAP_LOSSES)
    assert set(configs.OUTLINES) == set(OUTLINES)
    with pytest.raises(ValueError, match="known: ") as kinds:
        render_heatmaps(np.zeros((1, 1, 2), np.float32), (4, 4), kind="none")
    with pytest.raises(ValueError, match="known: ") as methods:
        decode_heatmaps(np.zeros((1, 1, 4, 4), np.float32), method="none")
    for caught, names in ((kinds, configs.HEATMAPS), (methods, configs.DECODERS)):
        assert set(str(caught.value).partition("known: ")[2].split(", ")) == set(names)


@pytest.mark.parametrize("name", MASK_LOSSES)
def test_mask_losses_fall_towards_the_truth(name):
    torch.manual_seed(0)
    targets = (torch.rand(3, 1, 8, 8) > 0.8).float()
    loss = [MASK_LOSSES[name](scale * (2 * targets - 1), targets, torch.ones(8, 8)).item() for scale in (-2, 0, 2, 20)]
    assert loss == sorted(loss, reverse=True)
    assert loss[-1] == pytest.approx(0, abs=1e-3)
    # the mean over images: two halves of a batch average to the whole
    logits = torch.randn(4, 1, 8, 8)
    targets = torch.cat([targets, targets[:1]])
    whole = MASK_LOSSES[name](logits, targets, torch.ones(8, 8))
    halves = [MASK_LOSSES[name](logits[i : i + 2], targets[i : i + 2], torch.ones(8, 8)) for i in (0, 2)]
    if name != "weighted_bce":  # its weights are the batch's
        torch.testing.assert_close(sum(halves) / 2, whole)


@pytest.mark.parametrize("name", HEATMAP_LOSSES)
def test_heatmap_losses_fall_towards_the_truth(name):
    targets = torch.zeros(2, 3, 8, 8)
    for k in range(3):
        targets[:, k, k + 2, 2 * k] = 1
    loss = [HEATMAP_LOSSES[name](scale * (2 * targets - 1), targets, torch.ones(8, 8)).item() for scale in (0, 2, 8)]
    assert loss == sorted(loss, reverse=True)


def test_weighted_entropy_counts_both_classes_alike():
    targets = torch.zeros(1, 1, 10, 10)
    targets[..., 0, :5] = 1
    on_ventricle, on_background = (torch.where(targets > 0, a, b) for a, b in ((-3.0, -9.0), (9.0, 3.0)))
    loss = [
        MASK_LOSSES["weighted_bce"](logits, targets, torch.ones(10, 10)) for logits in (on_ventricle, on_background)
    ]
    torch.testing.assert_close(loss[0], loss[1], atol=1e-3, rtol=0)


def test_focal_loss_by_hand():
    logits, targets = torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]])
    assert MASK_LOSSES["focal"](logits, targets, even(logits)).item() == pytest.approx(0.25 * np.log(2))


def test_a_region_counts_more():
    weight = region_weight((4, 8), (0.5, 0.0, 1.0, 0.5), 3.0)
    assert weight.mean().item() == pytest.approx(1)
    assert (weight[:2, 4:] / weight[0, 0] == 3).all()
    assert (weight[2:] == weight[0, 0]).all()
    targets = torch.zeros(1, 1, 4, 8)
    wrong_inside, wrong_outside = torch.full((2, 1, 1, 4, 8), -9.0)
    wrong_inside[0, 0, 0, 6] = wrong_outside[0, 0, 3, 6] = 9
    for name in ("bce", "weighted_bce", "focal"):
        loss = MASK_LOSSES[name]
        assert loss(wrong_inside, targets, weight) > 2.5 * loss(wrong_outside, targets, weight)


def test_coordinate_loss_is_a_distance_in_pixels():
    logits = torch.full((1, 3, 20, 30), -50.0)
    for k in range(3):
        logits[0, k, 5, 10] = 50
    landmarks = torch.tensor([[[10.0, 5.0], [13.0, 9.0], [-40.0, 5.0]]])  # the last is off the image: left out
    assert coordinate_loss(logits, landmarks).item() == pytest.approx(2.5, abs=1e-2)


def test_spatial_cross_entropy_is_the_entropy_of_each_channel():
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    truth = targets.flatten(2) / targets.flatten(2).sum(2, keepdim=True)
    expected = -(truth * logits.flatten(2).softmax(2).log()).sum(2).mean()
    torch.testing.assert_close(HEATMAP_LOSSES["spatial_ce"](logits, targets, even(logits)), expected)
    targets[0, 1] = 0  # a landmark off the image teaches nothing, and is not counted
    some = torch.ones(2, 3, dtype=torch.bool)
    some[0, 1] = False
    expected = -(truth * logits.flatten(2).softmax(2).log()).sum(2)[some].mean()
    torch.testing.assert_close(HEATMAP_LOSSES["spatial_ce"](logits, targets, even(logits)), expected)
    assert HEATMAP_LOSSES["spatial_ce"](logits, torch.zeros_like(targets), even(logits)) == 0


def test_dice_and_cross_entropy_by_hand():
    logits = torch.tensor([[[[0.0, 0.0]]], [[[50.0, -50.0]]]])
    targets = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 0.0]]]])
    # first image: p = 1/2 everywhere, so BCE ln 2 and soft Dice (2 * 1/2 + 1) / (1 + 1 + 1); second: perfect
    expected = np.log(2) / 2 + 1 - (2 / 3 + 1) / 2
    assert MASK_LOSSES["dice_bce"](logits, targets, even(logits)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", ["dice", "dice_bce"])
def test_blank_slices_have_no_dice_loss(loss):
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 1, 4, 5), (torch.rand(3, 1, 4, 5) > 0.5).float()
    targets[1] = 0
    entropy = MASK_LOSSES["bce"](logits, targets, even(logits)) if loss == "dice_bce" else 0
    expected = entropy + MASK_LOSSES["dice"](logits[[0, 2]], targets[[0, 2]], even(logits))
    torch.testing.assert_close(MASK_LOSSES[loss](logits, targets, even(logits)), expected)
    assert MASK_LOSSES["dice"](logits, torch.zeros_like(targets), even(logits)) == 0


# -- codecs


@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_decoding_what_was_encoded_gives_the_mask_back(disc_store, approach):
    codec = checkpoint.build(tiny(approach=approach, sigma=1.0))[1]
    contours = pad_contours(disc_store.points, disc_store.offsets)
    targets, landmarks = codec.encode(contours, (32, 32), CPU)
    assert (landmarks is None) == (approach == "mask")
    masks = codecs.decode_masks(codec, 20 * targets - 10)
    true = fill_polygons(torch.from_numpy(contours), (32, 32))
    agreement = 2 * (masks & true).sum((1, 2)) / (masks.sum((1, 2)) + true.sum((1, 2)))
    assert agreement.min() > (0.999 if approach == "mask" else 0.9)
    larger = codecs.resize_planes(codec.decode(20 * targets - 10).probabilities, (64, 96))
    assert larger.shape == (48, 64, 96)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("outline", OUTLINES)
def test_each_scheme_and_outline(chord_store, scheme, outline):
    count = {"extremes": 6, "angle": 12}.get(scheme, 7)
    codec = checkpoint.build(tiny(scheme=scheme, outline=outline, landmarks=count, sigma=1.5, band_iterations=0))[1]
    landmarks = codec.landmarks(chord_store)
    given = landmarks if codec.choose_before else None
    contours = pad_contours(chord_store.points, chord_store.offsets)
    targets, seen = codec.encode(contours, (32, 32), CPU, given)
    np.testing.assert_allclose(seen, landmarks, atol=1e-3)
    logits = targets.clamp_min(1e-9).log()
    decoded = codec.decode(logits)
    np.testing.assert_allclose(decoded.landmarks, landmarks, atol=0.05)
    masks = fill_polygons(codec.join(decoded.landmarks), (32, 32))
    np.testing.assert_array_equal(codecs.decode_masks(codec, logits), masks)


@pytest.mark.parametrize("decode", ["argmax", "soft_argmax", "dark"])
@pytest.mark.parametrize("heatmap", ["gaussian", "euclidean"])
def test_each_heatmap_and_decoder(disc_store, decode, heatmap):
    codec = checkpoint.build(tiny(heatmap=heatmap, decode=decode, radius=4.0, sigma=1.5, band_iterations=0))[1]
    contours = pad_contours(disc_store.points, disc_store.offsets)
    targets, landmarks = codec.encode(contours, (32, 32), CPU)
    away = np.linalg.norm(codec.decode(targets.clamp_min(1e-9).log()).landmarks - landmarks, axis=2)
    assert away.max() < (0.71 if decode == "argmax" else 0.1 if heatmap == "gaussian" else 0.5)


def test_without_a_band_heatmaps_are_whole(disc_store):
    contours = pad_contours(disc_store.points, disc_store.offsets)
    with_band, without = (
        checkpoint.build(tiny(band_iterations=n))[1].encode(contours, (32, 32), CPU)[0] for n in (1, 0)
    )
    expected = torch.from_numpy(render_heatmaps(choose_landmarks(contours, 9), (32, 32), sigma=2.5, radius=10.0))
    assert torch.equal(without, expected)
    assert ((with_band == without) | (with_band == 0)).all()
    assert (with_band == 0).sum() > (without == 0).sum()


def test_anatomical_landmarks_need_chords(disc_store, chord_store):
    assert scheme_for(disc_store, None) == "arc"
    assert scheme_for(chord_store, None) == "anatomical"
    assert scheme_for(chord_store, "arc") == "arc"
    with pytest.raises(DataError, match="ordered chords"):
        scheme_for(disc_store, "anatomical")
    assert checkpoint.build(tiny(scheme="anatomical"))[1].landmarks(disc_store) is None


def test_a_smaller_batch_after_a_larger_one(disc_store):
    codec = checkpoint.build(tiny(approach="landmark"))[1]
    contours = pad_contours(disc_store.points, disc_store.offsets)
    codec.encode(contours, (32, 32), CPU)
    again = codec.encode(contours[3:5], (32, 32), CPU)[0].clone()
    fresh = checkpoint.build(tiny(approach="landmark"))[1].encode(contours[3:5], (32, 32), CPU)[0]
    assert torch.equal(again, fresh)
    whole = codec.encode(contours, (32, 32), CPU)[0]
    assert torch.equal(whole[3:5], fresh)


@pytest.mark.parametrize(("devices", "there"), [(["a GPU"], "cuda:1"), ([], "cpu")])
def test_targets_are_drawn_where_the_driver_runs_the_kernels(monkeypatch, devices, there):
    """A build with CUDA sees no device where the driver is older than the build, though torch may."""
    monkeypatch.setattr(codecs, "build_info", lambda: {"cuda_built": True, "cuda_devices": devices})
    codecs.drawing_device.cache_clear()
    assert codecs.drawing_device(torch.device("cuda:1")) == torch.device(there)
    codecs.drawing_device.cache_clear()
