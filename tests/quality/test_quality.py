from __future__ import annotations

import ast
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import echoseg
from _faults import add_faults, write_beating_folder
from _folders import SUNNYBROOK, set_cell, write_folder, write_points_folder
from echoseg.cli import main
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.store import prepare
from echoseg.quality.contours import border_sign, deviations, measure_contours
from echoseg.quality.dataset_check import check_dataset
from echoseg.quality.duplicates import find_duplicate_frames, find_identical_files, find_repeated_frames
from echoseg.quality.inspection import FAULT_REASONS, LEFT_OUT, SUSPICIOUS, check_store
from echoseg.quality.listed_volumes import find_inconsistent_volumes, phase_agreement, phase_pairs
from echoseg.quality.suspect import REASONS


@pytest.fixture(scope="module")
def beating(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beating") / "data"
    return write_beating_folder(folder)


@pytest.fixture
def faulty(tmp_path):
    folder = write_beating_folder(tmp_path / "data")
    return folder, add_faults(folder)


def check(folder):
    return check_store(prepare(folder, size=(64, 64)), read_dataset(folder).recordings)


@pytest.mark.slow
def test_nothing_is_found_in_a_valid_data_set(beating):
    assert check(beating) == []


@pytest.mark.slow
def test_every_fault_is_found_exactly_once(faulty):
    folder, expected = faulty
    findings = check(folder)
    for kind in (LEFT_OUT, SUSPICIOUS):
        of_kind = [found for found in findings if found.kind == kind]
        matched = {(reason, name) for reason, name in expected[kind] for found in of_kind if found.reason == reason}
        assert matched == expected[kind]
        assert len(of_kind) == len(expected[kind]), "\n".join(map(str, of_kind))
    suspects = [found for found in findings if found.kind == SUSPICIOUS]
    for found in suspects:  # the note names the video or patient
        assert any(reason == found.reason and name in found.note for reason, name in expected[SUSPICIOUS]), found
    assert [list(REASONS).index(found.reason) for found in suspects] == sorted(
        list(REASONS).index(found.reason) for found in suspects
    )
    lines = (folder / "VolumeTracings.csv").read_text().split("\n")
    names = (folder / "FileList.csv").read_text().split("\n")
    for found in suspects:
        if found.images:
            line = (lines if found.file == "VolumeTracings.csv" else names)[found.row - 1]
            assert line.split(",")[0].removesuffix(".avi") in found.note


@pytest.mark.slow
def test_the_command_lists_left_out_and_suspicious_parts_separately(faulty, tmp_path, capsys):
    folder, expected = faulty
    out = tmp_path / "check"
    assert main(["check", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"left out, not used for training: {len(expected[LEFT_OUT])}" in printed
    assert f"suspicious, but used: {len(expected[SUSPICIOUS])}" in printed
    table = pd.read_csv(out / "check.csv")
    assert list(table)[:6] == ["file", "row", "column", "kind", "reason", "value"]
    assert table["kind"].value_counts().to_dict() == {kind: len(found) for kind, found in expected.items()}
    page = (out / "check.html").read_text()
    for reason in table["reason"]:
        assert reason in page
    assert page.count("data:image/jpeg;base64,") >= len(expected[SUSPICIOUS])
    assert "http" not in page
    assert str(tmp_path) not in page
    assert main(["check", str(folder), "--strict"]) == 1


@pytest.mark.slow
def test_suspicious_data_are_not_refused_by_strict(beating, tmp_path, capsys):
    folder = write_beating_folder(tmp_path / "data", videos=10)
    set_cell(folder / "FileList.csv", 3, 1, "99")
    assert main(["check", str(folder), "--strict"]) == 0
    assert "EF inconsistent" in capsys.readouterr().out


@pytest.mark.slow
def test_a_store_can_be_checked_without_its_data_set(beating, tmp_path, capsys):
    prepare(beating, tmp_path / "store", size=(48, 48))
    assert main(["check", str(tmp_path / "store")]) == 0
    assert "nothing is left out, nothing is suspicious" in capsys.readouterr().out


@pytest.mark.slow
def test_a_check_of_a_store_finds_what_a_check_of_its_folder_does(faulty, tmp_path):
    folder, _ = faulty
    of_folder = check_dataset(folder).findings
    store = prepare(folder, tmp_path / "store").path
    shutil.rmtree(folder)  # the store says it all, except whether a video ends early
    expected = [str(found) for found in of_folder if found.reason != "video cut off"]
    assert [str(found) for found in check_dataset(store).findings] == expected
    assert len(expected) == len(of_folder) - 1


@pytest.mark.slow
def test_names_from_the_data_are_escaped_in_html(tmp_path):
    folder = write_folder(tmp_path / "data", names=("<b>a", "b", "c"))
    set_cell(folder / "FileList.csv", 2, 1, "99")
    assert main(["check", str(folder), "--out", str(tmp_path / "check")]) == 0
    page = (tmp_path / "check" / "check.html").read_text()
    assert "&lt;b&gt;a" in page
    assert "<b>a" not in page


def test_points_are_checked(tmp_path):
    folder = write_points_folder(tmp_path / "data")
    findings = check(folder)
    assert {found.reason for found in findings} == {"blank frame", "duplicate across splits"}  # equal files, uniform


def test_a_video_with_fewer_frames_than_declared_is_suspicious(beating, tmp_path):
    folder = write_beating_folder(tmp_path / "data", videos=10)
    for name, count in (("v07", 25), ("v08", 3)):  # a header that declares fewer is ignored
        video = folder / f"Videos/{name}.avi"
        data = bytearray(video.read_bytes())
        data[48:52] = count.to_bytes(4, "little")  # dwTotalFrames of avih
        video.write_bytes(data)
    notes = [found.note for found in check(folder) if found.reason == "video cut off"]
    assert notes == ["v07.avi has 10 frames, its header declares 25"]


def test_a_split_column_that_training_refuses_is_suspicious(tmp_path):
    folder = write_beating_folder(tmp_path / "data", videos=4)
    set_cell(folder / "FileList.csv", 3, 4, "HOLDOUT")
    (found,) = check(folder)
    assert found.reason == "invalid split"
    assert "holdout" in found.note


@pytest.mark.slow
def test_swapped_phases_of_the_data_set_are_suspicious(beating):
    store = prepare(beating, size=(64, 64))
    swapped = store.samples.copy()
    rows = swapped["video"] == "v07"
    swapped.loc[rows, "phase"] = swapped.loc[rows, "phase"].to_numpy()[::-1]
    (found,) = check_store(dataclasses.replace(store, samples=swapped))
    assert (found.reason, found.file) == ("ED and ES swapped", "VolumeTracings.csv")
    assert "of v07 " in found.note


def test_swapped_frames_have_a_negative_phase_agreement(beating):
    store = prepare(beating, size=(64, 64))
    pairs = phase_pairs(store.samples)
    assert len(pairs) == 30
    correct = phase_agreement(store, pairs)
    assert correct.min() > 0.15
    frames = np.array(store.frames)
    ed, es = pairs.loc["v07"]
    frames[[ed, es]] = frames[[es, ed]]
    with_swap = phase_agreement(dataclasses.replace(store, frames=frames), pairs)
    changed = pairs.index == "v07"
    assert with_swap[changed] == pytest.approx(-correct[changed])
    assert (with_swap[~changed] == correct[~changed]).all()
    negative = phase_agreement(dataclasses.replace(store, frames=255 - frames), pairs)  # dark walls, as in MRI
    assert negative == pytest.approx(with_swap, abs=0.02)


def test_phases_whose_contours_hardly_differ_are_not_compared(beating):
    store = prepare(beating, size=(64, 64))
    pairs = phase_pairs(store.samples)
    ed, es = pairs.loc["v07"]
    contour = store.contour(ed)

    def with_es(scale):
        points = np.array(store.points)
        points[store.offsets[es] : store.offsets[es + 1]] = contour.mean(axis=0) * (1 - scale) + contour * scale
        return dataclasses.replace(store, points=points)

    agreement = phase_agreement(with_es(0.955), pairs)
    assert np.flatnonzero(np.isnan(agreement)).tolist() == [pairs.index.get_loc("v07")]
    reasons = [[found.reason for found in find_inconsistent_volumes(with_es(scale))] for scale in (1.01, 1.03)]
    assert ["ED and ES swapped" in found for found in reasons] == [False, True]


def test_the_edge_of_the_sector_is_no_border():
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    contour = np.stack([32 + 16 * np.cos(angle), 32 + 16 * np.sin(angle)], axis=1)
    contour[:, 0] = contour[:, 0].clip(max=40)  # the sector ends there, and with it the ventricle
    y, x = np.mgrid[:64, :64]
    frame = np.where(np.hypot(x - 32, y - 32) < 16, 60, 150)
    frame[:, 41:] = 0
    at_tissue = (contour[:, 0] < 38).mean()
    assert border_sign(frame.astype(np.uint8), contour) == pytest.approx(at_tissue, abs=0.1)


@given(hnp.arrays(np.float64, st.integers(0, 30), elements=st.floats(-1e6, 1e6)))
def test_deviations_are_finite_and_monotonic(values):
    found = deviations(values, min_spread=0.1)
    assert np.isfinite(found).all()
    assert (np.diff(found[values.argsort()]) >= 0).all()
    assert len(values) >= 8 or not found.any()


def test_deviations_of_normal_values_are_standard_scores():
    values = np.random.default_rng(0).normal(5, 3, 20_000)
    assert deviations(values) == pytest.approx((values - 5) / 3, abs=0.2)
    values[:2000] = 1e9  # outliers do not increase the spread
    assert np.abs(deviations(values)[2000:]).max() < 6


def test_contours_of_a_valid_data_set_have_plausible_measurements(beating):
    table = measure_contours(prepare(beating, size=(64, 64)))
    lengths = table.groupby("video").size()
    assert (lengths == 2).all()
    assert not table["intersects"].any()
    assert table["outside"].max() < 0.05
    assert (table["lost"].abs() < 0.1).all()
    assert table["x"].between(25, 39).all()
    assert (table["border"] > 0.5).all()
    # of two contours only the more unusual one is compared with the other
    zeros = table.groupby("video")[["video_size", "video_position"]].agg(lambda two: (two == 0).sum())
    assert (zeros >= 1).all(axis=None)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_similar_frames_of_different_groups_are_duplicates(seed, count):
    random = np.random.default_rng(seed)
    frames = random.integers(0, 256, (count, 24, 24), dtype=np.uint8)
    i, j = sorted(random.choice(count, 2, replace=False))
    frames[j] = (frames[i].astype(float) + random.normal(0, 5, (24, 24))).clip(0, 255).astype(np.uint8)
    assert list(find_duplicate_frames(frames, np.arange(count))) == [(i, j)]
    assert list(find_duplicate_frames(frames, np.zeros(count, int))) == []
    assert list(find_repeated_frames(frames, np.full(count, "v"))) == []


def test_all_duplicates_are_paired_with_the_first_frame():
    frames = np.tile(np.random.default_rng(0).integers(0, 256, (1, 24, 24), dtype=np.uint8), (5, 1, 1))
    assert list(find_duplicate_frames(frames, np.arange(5))) == [(0, 1), (0, 2), (0, 3), (0, 4)]
    assert list(find_repeated_frames(frames, np.array(list("ababa")))) == [(0, 2), (1, 3), (0, 4)]


def test_blank_frames_are_not_duplicates():
    blank = np.zeros((3, 16, 16), np.uint8)
    assert list(find_duplicate_frames(blank, np.arange(3))) == []
    assert list(find_repeated_frames(blank, np.array(["v"] * 3))) == []


def test_identical_files_are_found():
    paths = {"a": "1.avi", "b": "2.avi", "c": "3.avi", "d": "4.avi", "e": "5.avi", "f": "3.avi", "g": "", "h": "6.avi"}
    hashes = {"1.avi": "x", "2.avi": "y", "3.avi": "x", "4.avi": "", "5.avi": "", "6.avi": "x"}
    assert find_identical_files(paths, hashes) == [("a", "c"), ("a", "h")]


@pytest.mark.slow
def test_every_fault_of_the_readers_has_a_reason(faulty):
    folder, _ = faulty
    assert "other" not in {found.reason for found in check(folder)}
    assert set(FAULT_REASONS.values()).isdisjoint(REASONS)


def test_every_part_of_a_fault_occurs_in_a_message_of_the_readers():
    package = Path(echoseg.__file__).parent
    texts = ["'' is empty"]  # a quoted empty cell, followed by the result of `check_name`
    for path in (*package.glob("datasets/*.py"), *package.glob("io/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts += [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is str]
    assert [part for part in FAULT_REASONS if not any(part in text for text in texts)] == []


def test_a_video_with_an_unsupported_codec_is_unreadable(tmp_path):
    folder = write_folder(tmp_path / "data")
    video = folder / "Videos/b.avi"
    video.write_bytes(video.read_bytes().replace(b"MJPG", b"cvid"))
    assert {found.reason for found in check(folder) if found.kind == LEFT_OUT} == {"unreadable file"}


@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the shared data set is missing")
def test_nothing_is_found_in_sunnybrook():
    assert check_store(prepare(SUNNYBROOK), read_dataset(SUNNYBROOK).recordings) == []
