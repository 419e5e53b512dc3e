"""The protocols of benchmarks, against oracles, and what is said to differ from the published figures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist
from skimage.metrics import hausdorff_distance

from _commands import wrong_usage
from echoseg.errors import DataError
from echoseg.evaluation.evaluate import Evaluation
from echoseg.evaluation.protocols import PROTOCOLS, _distances, apply_protocol, measure_images
from echoseg.evaluation.published import PUBLISHED
from echoseg.geometry.ragged import pad_contours
from echoseg.inference.predictor import Prediction
from echoseg.ops import fill_polygons
from echoseg.report.protocol_table import protocol_markdown, protocol_text

VOLUMES = pd.DataFrame(
    {"video": ["a", "b", "c"], "patient": ["a", "b", "c"], "unit": "ml"}
    | {"ef": [50.0, 60, 55], "listed_ef": [52.0, 57, np.nan], "true_ef": [0.0, 0, 54]}
    | {"edv": [100.0, 120, 90], "listed_edv": np.nan, "true_edv": [110.0, 118, 95]}
    | {"esv": [50.0, 48, 40], "listed_esv": np.nan, "true_esv": [53.0, 50, 43]}
)


def evaluation_of(store, move: float = 0.0, volumes=VOLUMES) -> Evaluation:
    """Predictions that are the true contours, moved to the right, of the last 16 images."""
    indices = np.arange(len(store))[-16:]
    contours = [store.contour(i) + np.float32([move, 0]) for i in indices]
    size = (16, *store.size)
    prediction = Prediction(contours, np.ones(16, np.int64), np.ones(size, np.float32))
    true = fill_polygons(pad_contours(store.points, store.offsets)[indices], store.size)
    return Evaluation(store.samples.iloc[indices], indices, true, prediction, {}, volumes)


def with_samples(store, **columns):
    return dataclasses.replace(store, samples=store.samples.assign(**columns))


def test_exact_contours_are_perfect(disc_store):
    store = with_samples(disc_store, phase=["ED", "ES"] * 24, spacing_y=0.5, spacing_x=0.5)
    echonet = apply_protocol("echonet", evaluation_of(store), store, "test")["values"]
    assert [echonet[name]["value"] for name in ("dice", "dice_ed", "dice_es")] == [1, 1, 1]
    assert echonet["ef_mae"]["value"] == pytest.approx((2 + 3 + 1) / 3)
    camus = apply_protocol("camus", evaluation_of(store), store, "test")["values"]
    assert [camus[f"{name}_ed"]["value"] for name in ("dice", "mad", "hd")] == [1, 0, 0]
    assert camus["volume_mae"]["value"] == pytest.approx(((10 + 2 + 5) / 3 + (3 + 2 + 3) / 3) / 2)
    sunnybrook = apply_protocol("sunnybrook", evaluation_of(store), store, "test")["values"]
    assert [sunnybrook[name]["value"] for name in ("good", "dice", "apd", "conformity")] == [100, 1, 0, 1]


def test_the_dice_of_echonet_is_pooled(disc_store):
    evaluation = evaluation_of(disc_store, move=4.0)
    entry = apply_protocol("echonet", evaluation, disc_store, "test")["values"]["dice"]
    both = (evaluation.prediction.masks & evaluation.true_masks).sum()
    total = evaluation.prediction.masks.sum() + evaluation.true_masks.sum()
    assert entry["value"] == pytest.approx(2 * both / total)
    assert entry["ci95"][0] < entry["value"] < entry["ci95"][1]


def test_contours_are_measured_at_the_images_own_size(disc_store):
    names = {"height": 64, "width": 64, "crop_height": 64, "crop_width": 64}
    store = with_samples(disc_store, **names, spacing_y=0.5, spacing_x=0.5)  # spacing of the store's pixels
    images = measure_images(evaluation_of(store, move=2.0), store)
    small = measure_images(evaluation_of(disc_store, move=2.0), disc_store)
    assert images["sum_px"].to_numpy() == pytest.approx(4 * small["sum_px"].to_numpy(), rel=0.05)
    assert images["hd_mm"].between(0.75, 1.25).all()  # 2 pixels of 0.5 mm
    assert small["hd_mm"].isna().all()


MASKS = hnp.arrays(bool, (9, 11), elements=st.booleans())


@given(MASKS, MASKS)
def test_distances_equal_those_of_all_pairs(a, b):
    spacing = np.array([0.7, 1.3])
    mad, hd, apd = _distances(a, b, spacing)
    if not (a.any() and b.any()):
        assert mad == hd == apd == pytest.approx(np.hypot(9 * 0.7, 11 * 1.3))
        return
    borders = []
    for mask in (a, b):
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        borders.append(mask & ~inner)
    pairs = cdist(*(np.argwhere(border) * spacing for border in borders))
    directed = pairs.min(axis=1), pairs.min(axis=0)
    assert mad == pytest.approx((directed[0].mean() + directed[1].mean()) / 2)
    assert hd == pytest.approx(max(directed[0].max(), directed[1].max()))
    assert apd == pytest.approx(directed[0].mean())
    assert _distances(a, b, np.ones(2))[1] == pytest.approx(hausdorff_distance(*borders))


def test_bad_contours_count_in_the_share_of_good_ones_only(disc_store):
    store = with_samples(disc_store, spacing_y=4.0, spacing_x=4.0)
    evaluation = evaluation_of(store)
    contours = [points + np.float32([10 * (i < 4), 0]) for i, points in enumerate(evaluation.prediction.contours)]
    moved = dataclasses.replace(evaluation, prediction=dataclasses.replace(evaluation.prediction, contours=contours))
    values = apply_protocol("sunnybrook", moved, store, "test")["values"]
    assert [values[name]["value"] for name in ("good", "dice", "apd")] == [75, 1, 0]


def test_good_contours_without_a_common_pixel_are_left_out_of_conformity(disc_store):
    """They are good only if they are tiny."""
    store = with_samples(disc_store, spacing_y=0.1, spacing_x=0.1)
    evaluation = evaluation_of(store)
    contours = [points * (0.1 if i < 4 else 1) for i, points in enumerate(evaluation.prediction.contours)]
    entry = apply_protocol(
        "sunnybrook",
        dataclasses.replace(evaluation, prediction=dataclasses.replace(evaluation.prediction, contours=contours)),
        store,
        "test",
    )
    assert [entry["values"][name]["value"] for name in ("good", "dice", "conformity")] == [100, 0.75, 1]
    assert any("leaves out 4 good contours with a Dice of 0" in line for line in entry["differences"])


def test_what_cannot_be_computed_is_unknown(disc_store):
    entry = apply_protocol("camus", evaluation_of(disc_store, volumes=VOLUMES.assign(unit="px3")), disc_store, "all")
    values = entry["values"]
    assert {values[name]["value"] for name in ("dice_ed", "mad_es", "volume_mae")} == {None}
    assert values["ef_mae"]["value"] is not None
    assert "MAD, mm, ES" in protocol_text(entry)


def test_correlations_of_few_videos_are_left_out_and_few_patients_named(disc_store):
    for copies in (3, 4):
        volumes = pd.concat([VOLUMES] * copies, ignore_index=True)
        volumes["patient"] = [str(number) for number in range(len(volumes))]
        entry = apply_protocol("camus", evaluation_of(disc_store, volumes=volumes), disc_store, "all")
        is_few = len(volumes) < 10
        assert (entry["values"]["ef_pearson"]["value"] is None) == is_few
        assert any("Correlations and R² of fewer" in line for line in entry["differences"]) == is_few
        assert entry["values"]["ef_mae"]["value"] == pytest.approx(2)
    few = with_samples(disc_store, patient=["one", "two"] * 24)
    differences = apply_protocol("camus", evaluation_of(few), few, "all")["differences"]
    assert any(line.startswith("There are only 2 patients, so the intervals") for line in differences)
    assert not any("There are only" in line for line in entry["differences"])


def test_differences_are_named(disc_store):
    manifest = {**disc_store.manifest, "understood": {"format": "pairs"}}
    names = [f"PHANTOM{i}" for i in range(48)]
    store = dataclasses.replace(with_samples(disc_store, video=names), manifest=manifest)
    text = " ".join(apply_protocol("echonet", evaluation_of(store), store, "val", steps=["closing"])["differences"])
    for part in (
        "synthetic",
        "format pairs",
        "'val'",
        "closing",
        "16 images of 16 patients",
        "frames that were traced",
    ):
        assert part in text
    plain = " ".join(apply_protocol("echonet", evaluation_of(disc_store), disc_store, "test")["differences"])
    assert "synthetic" not in plain
    with pytest.raises(DataError, match="known: echonet, camus, sunnybrook"):
        apply_protocol("acdc", evaluation_of(disc_store), disc_store, "test")


def test_published_rows_fit_their_protocols(disc_store):
    assert {row.protocol for row in PUBLISHED} == set(PROTOCOLS)
    for row in PUBLISHED:
        assert set(row.values) <= set(PROTOCOLS[row.protocol].quantities)
        assert row.source
    page = protocol_markdown(apply_protocol("echonet", evaluation_of(disc_store), disc_store, "test"))
    assert "| Dice | 1.0000 | 1.0000 to 1.0000 | 0.92 | 0.9332 (0.9321–0.9343) | 0.9296 |  |" in page
    assert "- [1] EchoNet-Dynamic: Ouyang et al." in page


def test_flags_that_change_the_measuring_are_refused(capsys, tmp_path):
    for flag in ("--blanks", "--compare-postprocess"):
        assert flag in wrong_usage(capsys, "evaluate", tmp_path, "--protocol", "camus", flag)
