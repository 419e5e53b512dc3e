"""Suggested frames: their order, their choice, what files they come from, and the command."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import echoseg
from _folders import write_folder
from echoseg.cli import main
from echoseg.errors import DataError
from echoseg.inference.suggest import choose, frame_uncertainty, most_uncertain, suggest
from echoseg.phantom import write_phantom
from echoseg.report.tables import suggestion_table
from echoseg.review.sources import find_review_clips


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 9))
def test_frames_marked_for_review_come_first(uncertainty, min_distance):
    review = np.arange(len(uncertainty)) % 5 == 3
    order = most_uncertain(np.array(uncertainty), review, min_distance=min_distance)
    marked = [bool(review[frame]) for frame in order]
    assert marked == sorted(marked, reverse=True)
    assert set(most_uncertain(np.array(uncertainty), review, min_distance=1)) == set(range(len(uncertainty)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 9))
def test_order_of_the_frames_to_review(uncertainty, min_distance):
    order = most_uncertain(np.array(uncertainty), min_distance=min_distance)
    assert uncertainty[order[0]] == max(uncertainty)
    assert all(uncertainty[a] >= uncertainty[b] for a, b in itertools.pairwise(order))
    assert all(abs(a - b) >= min_distance for i, a in enumerate(order) for b in order[:i])
    assert all(min(abs(frame - a) for a in order) < min_distance for frame in range(len(uncertainty)))


def table_of(files, uncertainty, unlike):
    return pd.DataFrame({"file": files, "frame": 0, "uncertainty": uncertainty, "unlike": unlike})


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 4), st.integers(0, 20))
def test_no_file_comes_twice_before_every_file_has_come(seed, candidates, files, count):
    rng = np.random.default_rng(seed)
    names = rng.choice(list("abcd")[:files], candidates)
    unlike = np.where(rng.random(candidates) < 0.2, np.nan, rng.random(candidates))
    statistics = rng.normal(size=(candidates, 3)) * (rng.random() < 0.8)
    chosen = choose(table_of(names, rng.random(candidates), unlike), statistics, count)
    assert len(chosen) == len(set(chosen)) == min(count, candidates)
    left = {name: list(names).count(name) for name in names}
    for start, position in enumerate(chosen):
        uses = {name: list(names[chosen[:start]]).count(name) for name in left if left[name]}
        assert uses[names[position]] == min(uses.values())
        left[names[position]] -= 1


def test_each_group_of_images_gives_its_most_uncertain_typical_frame():
    rng = np.random.default_rng(3)
    centres, sizes = np.array([[0.0, 0], [20, 0], [0, 20]]), [9, 5, 3]
    statistics = np.concatenate([centre + rng.normal(0, 0.5, (n, 2)) for centre, n in zip(centres, sizes, strict=True)])
    statistics[8] = [4.0, 4.0]  # of the first group, but not typical
    uncertainty = rng.random(17)
    uncertainty[8] = 2.0
    group = np.repeat([0, 1, 2], sizes)
    chosen = choose(table_of([f"{i}" for i in range(17)], uncertainty, 1.0), statistics, 3)
    assert group[chosen].tolist() == [0, 1, 2]  # the largest first
    for number, position in enumerate(chosen):
        members = np.flatnonzero(group == number)
        distances = np.linalg.norm(statistics[members] - statistics[members].mean(axis=0), axis=1)
        typical = members[np.argsort(distances)[: (len(members) + 1) // 2]]
        assert position == typical[uncertainty[typical].argmax()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_phantom(tmp_path_factory.mktemp("videos") / "data", videos=3, seed=8) / "Videos"
    (folder / "damaged.avi").write_bytes(b"RIFF")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["landmark", "mask"])
def test_frames_of_a_folder(folder, tmp_path, approach):
    out = tmp_path / "next.csv"
    frames = suggest(None, [folder], 4, out=out, approach=approach, device="cpu")
    assert frames["file"][:3].nunique() == 3
    assert len(frames) == 4
    predict = echoseg.load(approach=approach, device="cpu")
    for row in frames.itertuples():
        assert row.uncertainty == pytest.approx(frame_uncertainty(predict(row.file))[row.frame])
    (error,) = frames.attrs["errors"]
    assert error.startswith(f"{folder / 'damaged.avi'}: ")
    pd.testing.assert_frame_equal(pd.read_csv(out), frames, atol=1e-4, check_dtype=False)
    with pytest.raises(FileExistsError, match=r"next\.csv"):
        suggest(None, [folder], 4, out=out)


@pytest.mark.slow
def test_the_command(folder, tmp_path, capsys):
    assert main(["suggest", str(folder), "--n", "2", "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("PHANTOM") == 2
    assert printed.err.count("left out: ") == 1
    assert main(["suggest", str(tmp_path / "missing"), "--device", "cpu"]) == 1


def test_files_that_do_not_fit_are_named_and_an_unknown_uncertainty_is_unknown(tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    monkeypatch.setattr("echoseg.inference.suggest.frame_uncertainty", lambda prediction: None)
    frames = suggest(None, [tmp_path], 2, out=tmp_path / "new" / "next.csv", device="cpu")
    assert frames["uncertainty"].isna().all()
    assert [line.split()[1:3] for line in suggestion_table(frames).splitlines()[-2:]] == [["0", "unknown"]] * 2
    assert (tmp_path / "new" / "next.csv").exists()

    def refuse(*arguments):
        raise DataError("its pixels are too small")

    monkeypatch.setattr("echoseg.inference.suggest.find_candidates", refuse)
    with pytest.raises(DataError, match=r"a\.png: its pixels are too small"):
        suggest(None, [tmp_path], 2, device="cpu")


@pytest.mark.slow
def test_files_have_the_names_of_a_review_of_the_same_inputs(tmp_path):
    for place in ("data", "study/PA1", "study/PA2"):
        write_folder(tmp_path / place, ("a",))
    for patient in ("PA1", "PA2"):
        (tmp_path / "study" / patient / "FileList.csv").unlink()
        (tmp_path / "study" / patient / "VolumeTracings.csv").unlink()
    data, study = tmp_path / "data", tmp_path / "study"
    for inputs in ([data], [study / "PA2", study], [study / "PA1" / "Videos" / "a.avi"]):
        suggest(None, inputs, 4, out=tmp_path / "next.csv", device="cpu")
        names = [
            {clip.name for clip in find_review_clips(paths, None)[0]} for paths in (inputs, [tmp_path / "next.csv"])
        ]
        assert names[0] == names[1]
        (tmp_path / "next.csv").unlink()


def test_a_folder_without_files(tmp_path):
    with pytest.raises(DataError, match="no file that contains frames"):
        suggest(None, [tmp_path], device="cpu")
