"""Segmentation of many files: names, failures, several ranks, and resuming."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from _atria import write_atria
from _folders import write_video
from _series import pixels, slice_name, write_series, write_slice
from echoseg.cli import main
from echoseg.errors import DataError
from echoseg.inference import archive
from echoseg.inference.archive import COLUMNS, segment_files, unfinished, write_results
from echoseg.inference.input_files import find_input_files
from echoseg.inference.predictor import Predictor
from echoseg.metrics.image_domain import fit_image_domain
from echoseg.training import checkpoint
from echoseg.training.config import Config


@pytest.fixture(scope="module")
def predictor():
    torch.manual_seed(0)
    config = Config(approach="mask", size=(32, 32), width=4, depth=2, precision="float32")
    return Predictor(config, *checkpoint.build(config), torch.device("cpu"))


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    for name in ("a", "b", "deep/a", "deep/er/c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / f"{name}.avi", frames=3 + len(name) // 2)
    (folder / "notes.txt").write_text("no video")
    (folder / ".hidden.avi").write_text("")
    (folder / "broken link.avi").symlink_to(folder / "nowhere.avi")
    return folder


def names(files) -> list[str]:
    return [file.name for file in files]


def find(*inputs, out=Path("nowhere"), settings=None):
    return find_input_files([Path(path) for path in inputs], Path("no run"), settings, out=out)


def write_frame_count(path, clip, prediction, measurement, folder):
    (folder / "frames.txt").write_text(str(len(prediction.masks)))


def test_names_are_paths_below_the_common_folder(videos, tmp_path):
    assert names(find(videos)) == ["a", "b", "deep/a", "deep/er/c"]
    assert names(find(videos / "a.avi")) == ["a"]
    assert names(find(videos / "b.avi", videos / "a.avi", videos / "b.avi")) == ["b", "a"]
    assert names(find(videos / "a.avi", videos / "deep" / "a.avi")) == ["a", "deep/a"]
    assert names(find(videos / "deep" / "er", videos / "a.avi")) == ["deep/er/c", "a"]
    assert names(find(videos, out=videos / "deep")) == ["a", "b"]
    write_video(videos / "deep.avi")  # without suffix, its name would equal that of a folder
    assert names(find(videos)) == ["a.avi", "b.avi", "deep.avi", "deep/a.avi", "deep/er/c.avi"]
    (videos / "deep.avi").rename(videos / "a.mp4")
    assert names(find(videos))[:3] == ["a.avi", "a.mp4", "b.avi"]


def test_error_names_missing_inputs_and_folders_without_frames(videos, tmp_path):
    with pytest.raises(DataError, match=r"none\.avi: no such file"):
        find(videos, tmp_path / "none.avi")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file that contains frames"):
        find(tmp_path / "empty")


def test_files_of_unread_types_are_rows_with_the_cure(videos, predictor, tmp_path):
    for name in ("scan.heic", "old.flv", "more.zip", "README", "labels.json", "notes.pdf", "voxels.raw"):
        (videos / name).write_bytes(b"\0" * 99)
    files = find(videos)
    (tmp_path / "out").mkdir()
    list(segment_files(files, predictor, tmp_path / "out", None))
    table = write_results(files, tmp_path / "out", kind="csv").set_index("file")
    errors = dict(table["error"][table["error"] != ""])
    assert set(errors) == {"scan", "old", "more", "voxels"}
    assert errors["scan"] == "is of a type that is not read; save it as PNG"
    assert errors["old"].endswith("convert it to MP4 or AVI")
    assert errors["more"].endswith("unpack it")
    assert errors["voxels"].endswith("add its header, .mhd or .nhdr")


def test_masks_beside_images_are_no_input(tmp_path):
    for name in ("a.png", "a_mask.png", "b.mha", "b_seg.nrrd", "c_mask.png"):
        (tmp_path / name).write_bytes(b"")
    assert names(find(tmp_path)) == ["a", "b", "c_mask"]


def test_key_depends_on_settings_and_file(videos):
    before = find(videos / "a.avi", settings="x")
    assert before == find(videos / "a.avi", settings="x")
    assert before != find(videos / "a.avi", settings="y")
    os.utime(videos / "a.avi", (1, 1))
    changed = find(videos / "a.avi", settings="x")
    assert before != changed
    (videos / "dataset.json").write_text('{"axis3": "time"}')
    assert changed != find(videos / "a.avi", settings="x")


def test_wrong_frame_count_in_a_header_is_noted(videos, predictor, tmp_path):
    data = bytearray((videos / "a.avi").read_bytes())
    data[48:52] = (200).to_bytes(4, "little")  # dwTotalFrames of avih
    (videos / "a.avi").write_bytes(data)
    files = find(videos)
    list(segment_files(files, predictor, tmp_path, None))
    table = write_results(files, tmp_path, kind="csv")
    assert table["note"].tolist() == ["the header declares 200 frames", "", "", ""]
    assert table["frames"].tolist() == [3, 3, 6, 7]


def test_damaged_file_does_not_stop_the_others_and_is_retried(videos, predictor, tmp_path):
    content = (videos / "b.avi").read_bytes()
    (videos / "b.avi").write_bytes(content[:3000])
    out = tmp_path / "out"
    out.mkdir()
    files = find(videos)
    rows = list(segment_files(files, predictor, out, write_frame_count))
    assert [row["file"] for row in rows] == names(files)
    table = write_results(files, out, kind="csv")
    assert list(table["error"] != "") == [False, True, False, False]
    assert "Videos" not in table["error"][1]
    assert table["frames"].fillna(0).tolist() == [3, 0, 6, 7]
    assert list(pd.read_csv(out / "results.csv")) == list(COLUMNS)
    assert (out / "deep" / "er" / "c" / "frames.txt").read_text() == "7"
    assert not (out / "b").exists()
    assert unfinished(files, out) == [files[1]]
    (videos / "b.avi").write_bytes(content)
    files = find(videos)
    assert names(unfinished(files, out)) == ["b"]
    list(segment_files(unfinished(files, out), predictor, out, write_frame_count))
    assert (write_results(files, out, kind="csv")["error"] == "").all()


def test_unexpected_exceptions_and_lack_of_memory_become_rows(videos, predictor, tmp_path, monkeypatch):
    def fail(path):
        if path.name == "a.avi":
            raise ZeroDivisionError("odd")
        return read(path)

    def run_out(clip):
        if len(clip.frames) == 7:
            raise RuntimeError("CUDA out of memory")
        return segment(predictor, clip)

    read, segment = archive.read_clip, Predictor.__call__
    monkeypatch.setattr(archive, "read_clip", fail)
    monkeypatch.setattr(Predictor, "__call__", lambda _, clip: run_out(clip))
    rows = list(segment_files(find(videos), predictor, tmp_path, None))
    assert [row["error"][:13] for row in rows] == ["cannot be rea", "", "cannot be rea", "out of memory"]

    def refuse(*_):
        raise DataError("its pixels are too small")

    monkeypatch.setattr(Predictor, "__call__", refuse)
    (row,) = segment_files(find(videos / "b.avi"), predictor, tmp_path, None)
    assert row["error"] == "its pixels are too small"
    monkeypatch.setattr(Predictor, "__call__", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(segment_files(find(videos / "b.avi"), predictor, tmp_path, None))


def test_error_while_writing_results_stops_the_prediction(videos, predictor, tmp_path):
    def write_to_full_disk(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        list(segment_files(find(videos), predictor, tmp_path, write_to_full_disk))


def test_several_ranks_give_the_table_of_one(videos, predictor, tmp_path):
    files = find(videos)
    tables = []
    for ranks in (1, 3):
        out = tmp_path / str(ranks)
        out.mkdir()
        for rank in range(ranks):
            list(segment_files(files[rank::ranks], predictor, out, None, rank=rank))
        tables.append(write_results(files, out, kind="csv"))
        assert len(list(out.glob("manifest-*.jsonl"))) == ranks
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.slow
def test_truncated_manifest_is_continued(videos, predictor, tmp_path):
    files = find(videos)
    list(segment_files(files, predictor, tmp_path, None))
    manifest = tmp_path / "manifest-0.jsonl"
    text = manifest.read_text()
    for length in (len(text) - 1, len(text) - 30, text.index("\n") + 1, text.index("\n") - 2, 0):
        manifest.write_text(text[:length])
        remaining = unfinished(files, tmp_path)
        list(segment_files(remaining, predictor, tmp_path, None))
        assert unfinished(files, tmp_path) == []
        assert all(json.loads(line) for line in manifest.read_text().splitlines() if line.endswith("}"))
        assert len(write_results(files, tmp_path, kind="csv")) == len(files)


def test_parquet_file_contains_the_table(videos, predictor, tmp_path):
    pytest.importorskip("pyarrow")
    (videos / "a.avi").write_bytes(b"none")
    files = find(videos)
    list(segment_files(files, predictor, tmp_path, None))
    table = write_results(files, tmp_path, kind="parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "results.parquet"), table)
    assert table["frames"].dtype == "Int64"


KILLED = """
import os, signal, sys
from echoseg.cli import main
from echoseg.report import results
write, calls = results.OUTPUTS["frames"], []
def write_or_kill(*arguments):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*arguments)
results.OUTPUTS["frames"] = write_or_kill
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_resumed_prediction_equals_an_uninterrupted_one(predictor, tmp_path):
    folder, run = tmp_path / "videos", tmp_path / "run"
    folder.mkdir()
    for i in range(6):
        write_video(folder / f"{i}.avi", frames=4 + i)
    run.mkdir()
    settings = "approach: mask\nsize: [32, 32]\nwidth: 4\ndepth: 2\nprecision: float32\n"
    (run / checkpoint.CONFIG).write_text(settings)
    checkpoint.save_weights(run / checkpoint.BEST, checkpoint.build(predictor.config)[0])
    command = ["predict", str(run), str(folder), "--device", "cpu", "--keep", "masks", "frames", "--out"]
    assert main([*command, str(tmp_path / "uninterrupted")]) == 0
    out = tmp_path / "killed"
    killed = subprocess.run([sys.executable, "-c", KILLED, *command, str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (out / "results.csv").exists()
    assert main([*command, str(out)]) == 1  # exists
    assert main([*command, str(out), "--resume"]) == 0
    trees = [
        {
            path.relative_to(top).as_posix(): path.read_bytes()
            for path in top.rglob("*")
            if path.is_file() and path.suffix != ".jsonl"
        }
        for top in (tmp_path / "uninterrupted", out)
    ]
    assert len(trees[0]) == 1 + 2 * 6
    assert trees[0] == trees[1]
    before = (out / "manifest-0.jsonl").read_text()
    assert main([*command, str(out), "--resume"]) == 0
    assert (out / "manifest-0.jsonl").read_text() == before


@pytest.mark.slow
def test_slices_of_a_dicom_series_are_one_input(tmp_path):
    write_series(tmp_path / "a" / "1.2.840", pixels())
    write_series(tmp_path / "a" / "b", pixels())
    write_slice(tmp_path / "a" / "b" / "localizer.dcm", pixels()[0], (0, 0, 0), series="9.9")
    found = {file.name: file.path.relative_to(tmp_path).as_posix() for file in find(tmp_path / "a")}
    assert found == {"1.2.840": "a/1.2.840", "b/series": "a/b", "b/localizer": "a/b/localizer.dcm"}
    assert names(find(tmp_path / "a" / "1.2.840")) == ["1.2.840"]
    assert names(find(tmp_path / "a" / "1.2.840" / slice_name(0))) == [slice_name(0).removesuffix(".dcm")]


def test_changed_slice_makes_the_results_of_its_series_old(predictor, tmp_path):
    folder, out = write_series(tmp_path / "heart", pixels()), tmp_path / "out"
    out.mkdir()
    (row,) = segment_files(find(folder), predictor, out, None)
    assert (row["file"], row["frames"], row["unit"], row["error"]) == ("heart", 4, "ml", "")
    assert row["seconds"].keys() == {"reading", "network", "measuring"}
    assert unfinished(find(folder), out) == []
    write_slice(folder / slice_name(2), pixels(seed=1)[0], (-20, 7, 47))
    assert names(unfinished(find(folder), out)) == ["heart"]


@pytest.fixture
def atria(tmp_path):
    write_atria(tmp_path / "atria", 2)
    return tmp_path / "atria"


def find_atria(folder, **options):
    return find_input_files([folder / "imagesTr"], Path("no run"), None, out=Path("nowhere"), **options)


def test_stacks_have_the_truth_and_the_area_of_their_patients(atria, tmp_path):
    files = find_atria(atria)
    assert [file.patient for file in files] == ["atrium0", "atrium1"]
    assert [file.truth for file in files] == [atria / "labelsTr" / f"atrium{number}.nii.gz" for number in range(2)]
    of_folder = find_input_files([atria], Path("no run"), None, out=Path("nowhere"))
    assert [file.path for file in of_folder] == [file.path for file in files]  # and no mask
    masks = tmp_path / "masks"
    masks.mkdir()
    with pytest.raises(DataError, match="masks: has no mask with the name of an input, such as atrium0_0000"):
        find_atria(atria, truth=masks)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        find_atria(atria, truth=tmp_path / "nowhere")
    (atria / "labelsTr" / "atrium1.nii.gz").rename(masks / "atrium1_gt.nii.gz")
    (tmp_path / "bsa.csv").write_text("patient,bsa\natrium1,1.7\n")
    others = find_atria(atria, truth=masks, bsa=str(tmp_path / "bsa.csv"))
    assert [file.truth for file in others] == [None, masks / "atrium1_gt.nii.gz"]
    assert others[1].bsa == 1.7
    assert math.isnan(others[0].bsa)
    assert all(file.key != other.key for file, other in zip(files, others, strict=True))  # they are segmented again


def test_rows_of_stacks_have_their_true_volume_and_their_index(atria, predictor, tmp_path):
    volumes = write_atria(atria, 2)
    (tmp_path / "bsa.csv").write_text("patient,bsa\natrium1,1.7\n")
    files = find_atria(atria, bsa=tmp_path / "bsa.csv")
    for structure in ("LA", "aorta"):
        out = tmp_path / structure
        out.mkdir()
        list(segment_files(files, predictor, out, None, structure=structure))
        table = write_results(files, out, kind="csv").set_index("patient")
        if structure == "LA":
            assert table["true_volume"].to_dict() == pytest.approx(volumes)
            assert (table["note"] == "").all()
        else:
            assert table["true_volume"].isna().all()
            assert (
                table["note"]
                .str.startswith("not compared with its ground truth: dataset.json: no label is named aorta")
                .all()
            )
        np.testing.assert_allclose(table["volume_mm3"], 1000 * table["volume"])
        assert table["volume_index"]["atrium1"] == pytest.approx(table["volume"]["atrium1"] / 1.7)
        assert math.isnan(table["volume_index"]["atrium0"])


def test_a_file_unlike_the_training_images_gets_a_note(videos, predictor, tmp_path, monkeypatch):
    files = find(videos)
    frames = predictor.config.size
    domain = fit_image_domain(np.random.default_rng(0).integers(0, 256, (20, *frames), dtype=np.uint8), list(range(20)))
    monkeypatch.setattr(predictor, "_image_domain", domain)
    out = tmp_path / "out"
    out.mkdir()
    rows = list(segment_files(files, predictor, out, None))
    assert all(row["note"].startswith("looks unlike the training images (distance ") for row in rows)
    monkeypatch.setattr(predictor, "_image_domain", dataclasses.replace(domain, limit=1e9))
    assert not any(row["note"] for row in segment_files(files, predictor, out, None))
