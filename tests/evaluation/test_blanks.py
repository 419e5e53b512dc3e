"""Blank slices: from the masks of a data set to training, scores, post-processing and the volumes of stacks."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from _folders import SUNNYBROOK
from echoseg.datasets.store import open_store, prepare, write_store
from echoseg.errors import DataError
from echoseg.evaluation.evaluate import evaluate
from echoseg.evaluation.postprocess_ablation import postprocess_ablation, postprocess_ladder
from echoseg.inference.measure import measure
from echoseg.inference.postprocess import CRACIUN, postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.io.reading import read_clip
from echoseg.phantom.stacks import write_phantom_stacks
from echoseg.report import stack_files
from echoseg.report.image_files import write_sample_images
from echoseg.report.tables import metrics_table, postprocess_table
from echoseg.training import checkpoint
from echoseg.training.batches import Batches
from echoseg.training.config import Config
from echoseg.training.plan import make_plan
from echoseg.training.training_sets import training_and_validation


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """The folder of three synthetic stacks."""
    folder = tmp_path_factory.mktemp("stacks") / "data"
    write_phantom_stacks(folder, patients=3)
    return folder


@pytest.fixture
def _tables_only(monkeypatch):
    """`write_stack` draws nothing, which would take most of the time."""
    for name in ("slices_figure", "slices_video", "write_view"):
        monkeypatch.setattr(stack_files, name, lambda *arguments, **options: None)


def untrained(**settings):
    """A predictor with random weights, about half of whose logits are above 0."""
    torch.manual_seed(3)
    config = Config(width=4, depth=2, precision="float32", **settings)
    model, codec = checkpoint.build(config)
    with torch.inference_mode():
        noise = torch.randint(0, 256, (1, *config.size), dtype=torch.uint8)
        *_, bias = model.parameters()
        bias -= model.eval()(noise).median()
    return Predictor(config, model, codec, torch.device("cpu"))


def check_volumes(folder, predictor, tmp_path, steps=()):
    """Compare what `evaluate` and `predict` write on each stack of a data set."""
    store = prepare(folder, **predictor.config.store_options)
    table = evaluate(predictor, store, "all", steps=steps).stacks.set_index("video")
    assert table["volume_ml"].sum() > 0
    for path in sorted({recording for recording in folder.rglob("*.nii.gz") if recording.name[:-7] in table.index}):
        if path.parent.name == "labelsTr":
            continue
        clip = read_clip(path)
        prediction = postprocess(predictor(clip), steps, predictor.codec)
        written = stack_files.write_stack(path, clip, prediction, measure(prediction, clip), tmp_path / path.name)
        row = table.loc[path.name[:-7]]
        assert row["volume_ml"] == pytest.approx(written["volume_ml"], rel=1e-9)
        assert row["volume_ml"] == pytest.approx(measure(prediction, clip).volume, rel=1e-9)
        assert row["slices"] == len(clip.frames)
        for name in ("true_volume_ml", "volume_dice", "dice"):
            if name in written:
                assert row[name] == pytest.approx(written[name], rel=1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("_tables_only")
@pytest.mark.parametrize(
    "settings",
    [{"approach": "mask"}, {"approach": "mask", "fov_mm": 130.0}, {"approach": "landmark", "scheme": "arc"}],
    ids=["mask", "field of view", "landmark"],
)
def test_evaluate_and_predict_give_equal_volumes(stacks, tmp_path, settings):
    steps = ["closing=3"] if settings["approach"] == "landmark" else ["threshold=0.45", "closing=3"]
    predictor = untrained(size=(48, 64), **settings)
    check_volumes(stacks, predictor, tmp_path / "plain")
    check_volumes(stacks, predictor, tmp_path / "processed", steps)


@pytest.mark.slow
@pytest.mark.usefixtures("_tables_only")
@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the shared data set is missing")
def test_evaluate_and_predict_give_equal_volumes_on_sunnybrook(tmp_path):
    check_volumes(SUNNYBROOK / "nifti", untrained(approach="mask", size=(112, 112), fov_mm=160.0), tmp_path)


SQUARE = np.float32([[3.5, 3.5], [8.5, 3.5], [8.5, 8.5], [3.5, 8.5]])


@pytest.fixture
def store(tmp_path):
    """A store of three patients with a stack of four slices each, on half of which a square is traced."""
    samples = pd.DataFrame({
        "video": np.repeat(["a", "b", "c"], 4), "patient": np.repeat(["a", "b", "c"], 4), "frame": list(range(4)) * 3,
        "split": np.repeat(["TRAIN", "VAL", "TEST"], 4), "phase": "", "view": "", "row": 0, "height": 16, "width": 16,
        "fps": np.nan, "ef": np.nan, "edv": np.nan, "esv": np.nan, "spacing_y": 2.0, "spacing_x": 1.0, "thickness": 5.0,
    })  # fmt: skip
    contours = [SQUARE[:0], SQUARE, SQUARE, SQUARE[:0]] * 3
    frames = np.full((12, 16, 16), 50, np.uint8)
    frames[:, 4:9, 4:9] = np.tile([60, 200, 200, 120], 3)[:, None, None]  # the last blank slice is misleading
    return write_store(tmp_path / "store", frames, contours, samples, {"kind": "points", "ordering": "given"})


class BrightnessPredictor(Predictor):
    """The probability of a pixel is its grey level divided by 200."""

    def __init__(self):
        config = Config(approach="mask", size=(16, 16), width=4, depth=2)
        super().__init__(config, *checkpoint.build(config), torch.device("cpu"))

    def segment_cropped(self, cropped, crop, size, *, smooth=False):
        probabilities = np.float32(cropped) / 200
        return Prediction(*self.codec.contours(probabilities, None), probabilities)


def test_blank_slices_are_scored_by_setting(store):
    evaluation = evaluate(BrightnessPredictor(), store, "test")
    assert list(evaluation.images["frame"]) == [1, 2]
    assert evaluation.summary["dice"] == 1
    assert evaluation.summary["blanks"] == {"images": 2, "empty_predictions": 1, "dice_all": 0.75}
    everything = evaluate(BrightnessPredictor(), store, "test", blanks=True)
    assert list(everything.images["dice"]) == [1, 1, 1, 0]  # empty against empty is 1, a false positive is 0
    assert everything.summary["dice"] == 0.75
    assert everything.summary["empty_predictions"] == 0
    assert "blanks_averaged" not in evaluation.summary
    assert everything.summary["blanks_averaged"] is True
    assert "both masks empty, with a Dice of 1" in metrics_table(everything.summary, "test")
    for result in (evaluation, everything):
        (row,) = result.stacks.to_dict("records")
        assert (row["slices"], row["volume_ml"], row["true_volume_ml"]) == (4, 0.75, 0.5)
        assert row["volume_dice"] == pytest.approx(2 * 50 / 125)
        assert row["dice"] == pytest.approx(2 / 3)
        lines = metrics_table(result.summary, "test").split("\n")
        assert any(line.split()[:-3] == ["blank", "slices", "left", "empty"] for line in lines)


def test_a_split_of_blank_slices_cannot_be_scored(store):
    samples = store.samples.assign(split=["TRAIN"] * 4 + ["VAL"] * 4 + ["TEST"] * 4, patient=list("aaaabbbbcddc"))
    samples.loc[9:10, "split"] = "TRAIN"
    with pytest.raises(DataError, match="only blank slices"):
        evaluate(BrightnessPredictor(), dataclasses.replace(store, samples=samples), "test")


def test_stacks_of_which_slices_are_missing_have_no_volume(store):
    splits = ["TRAIN"] * 4 + ["VAL"] * 4 + ["TEST"] * 3 + ["TRAIN"]
    samples = store.samples.assign(patient=["a"] * 4 + ["b"] * 4 + ["c"] * 3 + ["d"], split=splits)
    store = dataclasses.replace(store, samples=samples)
    assert evaluate(BrightnessPredictor(), store, "test").stacks.empty
    assert list(evaluate(BrightnessPredictor(), store, "all").stacks["video"].unique()) == ["a", "b", "c"]


def test_training_uses_blank_slices_by_setting(store):
    def indices(**settings):
        config = Config(size=(16, 16), depth=2, **settings)
        return [part.tolist() for part in training_and_validation(store, config.splits(store.samples), config)]

    assert indices(approach="mask", blanks=True) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert indices(approach="mask", blanks=False) == indices(approach="landmark") == [[1, 2], [5, 6]]
    assert indices(approach="mask", blanks=False, images=1)[0] in ([1], [2])
    assert len(indices(approach="mask", blanks=True, images=3)[0]) == 3


def test_blank_slices_do_not_count_for_the_number_of_epochs(store):
    for blanks in (True, False):
        config = Config(approach="mask", size=(16, 16), depth=2, blanks=blanks)
        assert make_plan(config, store, torch.device("cpu")).config.epochs == 6400


def test_a_split_needs_a_traced_slice(store):
    samples = store.samples.assign(
        patient=list("abbbbbbbccca"), split=["TRAIN"] + ["VAL"] * 7 + ["TEST"] * 3 + ["TRAIN"]
    )
    config = Config(approach="mask", size=(16, 16), depth=2)
    with pytest.raises(DataError, match="no image in split 'train'"):
        training_and_validation(store, config.splits(samples), config)


@pytest.mark.slow
def test_targets_of_blank_slices_are_empty_after_augmentation(store):
    config = Config(
        approach="mask", size=(16, 16), depth=2, batch_size=4, rotation=180.0, zoom=0.9, shift=1.0, flip=0.5
    )
    config = make_plan(config, store, torch.device("cpu")).config
    batches = Batches(store, np.array([0, 3]), checkpoint.build(config)[1], config, torch.device("cpu"))
    for epoch in range(20):
        for batch in batches.epoch(epoch):
            assert not batch.targets.any()


def test_rejecting_blank_frames_gains_where_a_split_has_blanks(store):
    table = postprocess_ablation(BrightnessPredictor(), store, "val").set_index("step")
    assert table.loc["none", "dice"] == 0.75
    assert table.loc["reject_blank=0.9", ["dice", "gain", "emptied"]].tolist() == [1.0, 0.25, 1]
    assert table.loc["reject_blank=0.5", "emptied"] == 0
    assert "images emptied" in postprocess_table(table.reset_index(), "val")


def test_ladder_adds_one_step_after_the_other(store):
    steps = ["threshold=0.7", "closing=3", "reject_blank=0.9"]
    ladder = postprocess_ladder(BrightnessPredictor(), store, "test", steps)
    assert list(ladder["step"]) == ["output", *steps]
    assert ladder["dice"].tolist()[1:] == [1, 1, 1]
    true = np.zeros((4, 16, 16))
    true[1:3, 4:9, 4:9] = 1
    outputs = np.float32(store.frames[8:]) / 200
    soft = [2 * (p * t).sum() / (p.sum() + t.sum()) for p, t in zip(outputs, true, strict=True)]
    assert ladder["dice"][0] == pytest.approx(np.mean(soft))
    np.testing.assert_allclose(ladder["gain"][1:], ladder["dice"].diff()[1:])
    assert list(postprocess_ladder(BrightnessPredictor(), store, "test", ())["step"]) == ["output", *CRACIUN]
    assert "+0.0000" in postprocess_table(ladder, "test", ladder=True)


def test_images_of_a_store_are_a_data_set_with_its_blank_slices(store, tmp_path):
    write_sample_images(store, tmp_path)
    shutil.rmtree(tmp_path / "overlays")
    shutil.rmtree(store.path)
    again = prepare(tmp_path, size=store.size)
    assert again.blank.tolist() == store.blank.tolist()
    assert again.samples["patient"].tolist() == store.samples["patient"].tolist()


@pytest.mark.slow
def test_stacks_differ_in_size_and_have_blank_slices(stacks):
    store = prepare(stacks)
    assert 0.5 < store.blank.mean() < 0.9
    assert store.samples.groupby("video")[["height", "width"]].first().drop_duplicates().shape[0] == 3
    assert open_store(store.path).samples["blank"].sum() == store.blank.sum()
