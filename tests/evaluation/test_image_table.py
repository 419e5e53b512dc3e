"""The table of images and its summary: units, empty masks, failures and intervals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from _predictions import of_probabilities
from echoseg import ops
from echoseg.evaluation.image_table import DISTANCES, MEASURES, measure_images, summarise_images
from echoseg.metrics.bootstrap import FEW_PATIENTS, mean_interval, median_interval
from echoseg.metrics.overlap import dice
from echoseg.metrics.surface import mean_contour_distance, surface_distances
from echoseg.report.tables import metrics_table

SIZE = (24, 32)


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


NOTHING = square(0, 0, 0)
TRUE = np.stack([square(4, 4, 9), square(4, 4, 9), square(8, 8, 9), square(8, 8, 9), NOTHING, NOTHING])
PREDICTED = np.stack([square(4, 4, 9), square(5, 4, 9), square(8, 8, 8), NOTHING, square(2, 2, 5), NOTHING])


@pytest.fixture
def prediction():
    return of_probabilities(PREDICTED.astype(np.float32))


@pytest.fixture
def samples():
    table = pd.DataFrame({"video": list("abcdef"), "frame": 0, "patient": list("ppqqrr"), "phase": "ED", "view": "A4C"})
    return table.assign(spacing_y=[1.0, 1, 0.5, 0.5, 1, 1], spacing_x=[1.0, 1, 2, 2, 1, 1])


def test_each_measure_is_that_of_its_image_in_both_units(prediction, samples):
    images = measure_images(prediction, TRUE, samples)
    masks = prediction.masks
    np.testing.assert_array_equal(images["dice"], dice(masks, TRUE))
    hd95, assd = surface_distances(masks, TRUE)
    np.testing.assert_array_equal(images[["hd95_px", "assd_px"]], np.stack([hd95, assd], axis=1))
    np.testing.assert_array_equal(images["masd_px"], mean_contour_distance(masks, TRUE))
    for tolerance in (1, 2):
        expected = ops.normalized_surface_dice(masks, TRUE, tolerance=tolerance)
        np.testing.assert_array_equal(images[f"nsd_{tolerance}px"], expected)
    third, spacing = slice(2, 3), (0.5, 2.0)
    assert images["hd95_mm"][2] == surface_distances(masks[third], TRUE[third], spacing=spacing)[0][0]
    assert images["masd_mm"][2] == mean_contour_distance(masks[third], TRUE[third], spacing=spacing)[0]
    nsd = ops.normalized_surface_dice(masks[third], TRUE[third], tolerance=2, spacing=spacing)[0]
    assert images["nsd_2mm"][2] == nsd
    np.testing.assert_allclose(images["hd95_mm"][:2], images["hd95_px"][:2])


def test_empty_masks_are_counted_and_not_averaged_where_both_are_empty(prediction, samples):
    images = measure_images(prediction, TRUE, samples)
    one, both = images.iloc[3:5], images.iloc[5]
    assert (one[["dice", "iou", "area_similarity", "nsd_1px", "nsd_2mm"]] == 0).all(axis=None)
    assert (one[["hd95_px", "assd_px", "masd_px"]] == np.hypot(*SIZE)).all(axis=None)
    assert one["hd95_mm"].tolist() == [np.hypot(SIZE[0] * 0.5, SIZE[1] * 2), np.hypot(*SIZE)]
    measures = [name for name in MEASURES if name in images and name != "dice_all_pixels"]
    assert both[measures].isna().all()
    assert images["failure"].tolist() == [0, 0, 0, 1, 1, 0]
    summary = summarise_images(images, TRUE)
    assert summary["dice"] == pytest.approx(images["dice"][:5].mean())
    assert (summary["empty_predictions"], summary["one_empty"], summary["both_empty"]) == (1, 2, 1)
    assert summary["failures"] == {"images": 2, "dice": 2, "hd95_px": 2}
    assert (summary["images_mm"], summary["all_black"]["dice"]) == (5, 0)


def test_two_empty_masks_count_as_a_success_where_blank_slices_are_averaged(prediction, samples):
    images = measure_images(prediction, TRUE, samples, both_empty=1)
    assert (images["dice"][5], images["iou"][5]) == (1, 1)
    assert np.isnan(images["hd95_px"][5])
    summary = summarise_images(images, TRUE, both_empty=1)
    assert summary["dice"] == pytest.approx(images["dice"].mean())
    assert summary["all_black"]["dice"] == pytest.approx(2 / 6)


def test_distances_in_mm_only_where_the_spacing_is_known(prediction, samples):
    partly = measure_images(prediction, TRUE, samples.assign(spacing_x=[1.0, np.nan, 2, 2, 1, 1]))
    assert partly[DISTANCES["mm"]].isna().all(axis=1).tolist() == [False, True, False, False, False, True]
    unknown = measure_images(prediction, TRUE, samples.assign(spacing_y=np.nan))
    assert not set(DISTANCES["mm"]) & set(unknown)
    assert "hd95_mm" not in summarise_images(unknown, TRUE)


def test_the_summary_has_an_interval_over_patients_for_each_mean_and_median(prediction, samples):
    images = measure_images(prediction, TRUE, samples)
    summary = json.loads(json.dumps(summarise_images(images, TRUE), allow_nan=False))
    patients = images["patient"].to_numpy()
    for name in MEASURES[:-1]:
        values = images[name].to_numpy()
        assert summary["ci95"][name] == list(mean_interval(values, patients))
        assert summary["median"][name] == np.nanmedian(values)
        assert summary["median_ci95"][name] == list(median_interval(values, patients))
    assert summary["dice_ci95"] == summary["ci95"]["dice"]
    assert "only 3 patients" in summary["note"]
    printed = metrics_table(summary, "test")
    for words in ("HD95, mm", "NSD, tolerance 2 mm", "both masks empty", "only 3 patients", "failures"):
        assert words in printed
    many = pd.concat([images.assign(patient=str(k)) for k in range(FEW_PATIENTS)])
    assert "note" not in summarise_images(many, np.tile(TRUE, (FEW_PATIENTS, 1, 1)))
