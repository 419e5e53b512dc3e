"""The folder with the parts of a paper: what it holds, and what it must not show."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from _commands import failure, files, wrong_usage
from _folders import FRAMES, TRACED, write_folder
from echoseg.cli import main
from echoseg.errors import DataError
from echoseg.evaluation.protocols import PROTOCOLS
from echoseg.inference.postprocess import STEPS
from echoseg.manuscript.checklist import ITEMS
from echoseg.manuscript.facts import hide_names, read_facts
from echoseg.manuscript.figures import flow_boxes
from echoseg.manuscript.methods import _AUGMENTATIONS, _LOSSES, _OPTIMIZERS, _POSTPROCESSING, methods_sections
from echoseg.manuscript.tables import results_of
from echoseg.manuscript.write import write_paper
from echoseg.training.config import LOSSES, Config
from echoseg.training.config_file import load_config
from echoseg.utils.checksum import parse

NAMES = ("Mustermann1", "Mustermann2", "Mustermann3")
TABLES = ("data", "results_test", "agreement_test", "settings", "claim")


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path]:
    """A run and the parts of its paper, for tests that only read them."""
    folder = tmp_path_factory.mktemp("paper")
    run = make_run(folder)
    (run / "Mustermann.txt").write_text("a note")
    assert write_paper(run, folder / "paper") == []
    return run, folder / "paper"


def make_run(parent: Path) -> Path:
    """A run folder, without weights, on a data set with a fault, of which the test split was evaluated."""
    data = write_folder(parent / "Erika_data", NAMES)
    with (data / "VolumeTracings.csv").open("a") as table:
        table.write(f"Lost.avi,1,2,3,4,2\n{NAMES[0]}.avi,1,2,3,4,{FRAMES + 3}\n")
    folder = parent / "run"
    folder.mkdir()
    settings = {"approach": "mask", "data": str(data), "size": (32, 32), "width": 4, "depth": 2, "epochs": 2}
    chosen = {"batch_size": 8, "learning_rate": 3e-3, "validation": "split", "seed": 7}
    augmentation = {"rotation": 20.0, "flip": 0.0, "noise": 0.2}
    Config(**settings, **chosen, **augmentation).save(folder / "config.yaml")
    environment = {"echoseg": {"version": "0.1"}, "torch": "2.9", "device": "cpu", "command": [str(data)]}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "log.csv").write_text("epoch,train_loss,val_dice,epoch_seconds\n1,2.5,0.5,30\n2,1.5,0.8,36\n")
    images = pd.DataFrame({"video": NAMES[2], "frame": TRACED, "patient": NAMES[2], "phase": ["ES", "ED"]})
    images.assign(dice=[0.75, 0.9]).to_csv(folder / "images_test.csv", index=False)
    random = np.random.default_rng(0)
    volumes = pd.DataFrame(
        {"video": NAMES[2], "patient": NAMES[2], "unit": "ml", "listed_ef": random.uniform(40, 70, 12)}
    )
    for name, low in (("ef", 40), ("edv", 90), ("esv", 40)):
        volumes[name], volumes[f"true_{name}"] = random.uniform(low, low + 30, (2, 12))
    volumes[["listed_edv", "listed_esv"]] = np.nan
    volumes.to_csv(folder / "volumes_test.csv", index=False)
    ef = {"videos": 12, "missing": 0, "mae": 4.25, "rmse": 5.5, "r2": 0.75, "bias": -1.25, "limits": [-11.5, 9.0]}
    metrics = {"images": 2, "patients": 1, "dice": 0.825, "dice_ci95": [0.75, 0.9], "iou": 0.7, "hd95_px": 2.5}
    metrics |= {"assd_px": 1.0, "dice_all_pixels": 0.98, "empty_predictions": 0, "ef": ef, "data": "/erika/store"}
    (folder / "metrics.json").write_text(json.dumps({"test": metrics}))
    return folder


def change_metrics(run: Path, **changes) -> None:
    """Change entries of the test split."""
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({"test": metrics["test"] | changes}))


def text_of(folder: Path) -> str:
    return "".join(
        path.read_text() for path in sorted(folder.rglob("*")) if path.suffix in {".tex", ".md", ".csv", ".json"}
    )


def test_the_folder_holds_all_parts(made):
    _, out = made
    figures = {f"figures/{name}.pdf" for name in ("flow", "curves", "dice_test", "bland_altman_test")}
    tables = {f"tables/{name}.{suffix}" for name in TABLES for suffix in ("tex", "md", "csv")}
    texts = {"main.tex", "methods.md", "methods.tex", "model_card.md", "model_card.tex", "manifest.json"}
    assert files(out) == figures | tables | texts
    main_text = (out / "main.tex").read_text()
    assert all(f"tables/{name}" in main_text for name in TABLES)
    assert all(name.removeprefix("figures/") in main_text for name in figures)


def test_tables_and_methods_hold_the_facts(made):
    _, paper = made
    data = (paper / "tables/data.csv").read_text().splitlines()
    assert data == ["split,patients,images", "training,1,2", "validation,1,2", "test,1,2"]
    results = (paper / "tables/results_test.csv").read_text()
    assert "foreground Dice,0.8250,0.7500–0.9000" in results
    assert "HD95, px" in results
    agreement = (paper / "tables/agreement_test.csv").read_text().splitlines()
    assert {"bias,−1.25", "R²,0.75", "lower 95 % limit of agreement,−11.5"} <= set(agreement)
    methods = (paper / "methods.md").read_text()
    for fact in ("32 × 32 pixels", "6 usable traced images of 3 patients", "rotation by up to ±20°", "seed 7",
                 "2 epochs", "1.1 minutes", "PyTorch 2.9", "2 files, frames or rows could not be used"):  # fmt: skip
        assert fact in methods
    assert "mirroring" not in methods
    assert "[AUTHOR: ethics approval" in methods


@pytest.mark.slow
def test_a_protocol_stands_beside_published_results(run, tmp_path):
    metrics = json.loads((run / "metrics.json").read_text())
    values = {name: {"value": 0.9, "ci95": [0.8, 0.95]} for name in PROTOCOLS["echonet"].quantities}
    metrics["test"]["protocol"] = {"name": "echonet", "values": values, "differences": ["It differs."]}
    (run / "metrics.json").write_text(json.dumps(metrics))
    write_paper(run, tmp_path / "paper")
    table = (tmp_path / "paper/tables/protocol_test.md").read_text()
    assert "| Dice | 0.9000 | 0.8000 to 0.9500 | 0.92 |" in table
    assert "It differs. Sources: [1] EchoNet-Dynamic: Ouyang et al." in table
    assert "tables/protocol_test" in (tmp_path / "paper/main.tex").read_text()


@pytest.mark.slow
def test_names_are_shown_only_on_request(made, tmp_path):
    run, paper = made
    text = text_of(paper)
    assert not any(name in text for name in ("Mustermann", "Lost", "Erika", "erika"))
    write_paper(run, tmp_path / "named", names=True)
    assert "Erika_data" in text_of(tmp_path / "named").replace(r"\_", "_")


def test_names_in_reasons_are_hidden():
    assert hide_names("Lost is not in FileList.csv") == "… is not in FileList.csv"
    assert hide_names("frame 11 of Erika Mustermann: its contour has no area") == "frame … of … its contour has no area"
    assert hide_names("matches several files (Erika, Max)") == "matches several files …"


def test_the_flow_chart_counts_what_was_left_out(run):
    boxes, left_out = flow_boxes(read_facts(run))
    assert boxes[0].splitlines()[1:] == ["3 patients", "3 files", "6 traced frames"]
    assert boxes[1] == "used: 6 traced images\nof 3 patients"
    assert boxes[2:] == [f"{name}\n1 patient\n2 images" for name in ("training", "validation", "test")]
    assert left_out.splitlines()[0] == "left out: 2"


def test_the_checklist_has_all_items_and_marks_what_is_unknown(made):
    _, paper = made
    rows = pd.read_csv(paper / "tables/claim.csv")
    assert len(rows) == len(ITEMS) == 44
    assert rows["item"].tolist() == list(range(1, 45))
    answers = rows["in this study"]
    assert answers.notna().all()
    assert answers[43] == "[AUTHOR: funding]"
    assert "`test`: 2 images of 1 patient." in answers[31]


def test_the_manifest_has_the_hashes_of_the_run(made):
    run, paper = made
    manifest = parse((paper / "manifest.json").read_text(), required=True)
    expected = hashlib.sha256((run / "log.csv").read_bytes()).hexdigest()
    assert manifest["files"]["log.csv"] == expected
    assert set(manifest["files"]) == files(run) - {"Mustermann.txt"}
    assert "command" not in manifest["environment"]


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(made, tmp_path):
    run, paper = made
    write_paper(run, tmp_path / "again")
    assert files(tmp_path / "again") == files(paper)
    for name in files(paper):
        assert (tmp_path / "again" / name).read_bytes() == (paper / name).read_bytes(), name


def test_images_of_other_data_are_external(run):
    images = pd.read_csv(run / "images_test.csv")
    images.assign(video="other").to_csv(run / "images_test.csv", index=False)
    assert read_facts(run).elsewhere == ("test",)


@pytest.mark.parametrize("are_gone", [False, True])
def test_images_of_other_data_may_have_the_names_of_those_of_the_training(run, tmp_path, are_gone):
    change_metrics(run, own_data=False)
    if are_gone:
        shutil.rmtree(tmp_path / "Erika_data")
    assert read_facts(run).elsewhere == ("test",)
    change_metrics(run, own_data=True)
    assert read_facts(run).elsewhere == ()


def test_post_processing_and_blank_slices_are_named(run):
    blanks = {"images": 3, "empty_predictions": 2, "dice_all": 0.75}
    change_metrics(run, postprocess=["threshold=0.3", "closing"], blanks=blanks, images_mm=1)
    facts = read_facts(run)
    text = " ".join(methods_sections(facts, ["test"])["Evaluation"])
    assert (
        "by a threshold of 0.3 for the probability of a pixel, then a morphological closing with a square of 5" in text
    )
    assert "`test` leave out slices on which nothing is traced" in text
    table = results_of(facts, "test")
    assert "`threshold=0.3`, `closing`" in table.caption
    assert {row[0]: row[1] for row in table.rows}.items() >= {
        "images with distances in mm": "1",
        "blank slices left empty": "2 of 3",
    }.items()
    change_metrics(run, blanks_averaged=True)
    text = " ".join(methods_sections(read_facts(run), ["test"])["Evaluation"])
    assert "`test` include slices on which nothing is traced" in text
    assert set(_POSTPROCESSING) == set(STEPS)


@pytest.mark.slow
def test_a_patient_may_be_called_na(run, tmp_path):
    for name in ("images_test.csv", "volumes_test.csv"):
        (run / name).write_text((run / name).read_text().replace(NAMES[2], "NA"))
    assert write_paper(run, tmp_path / "paper") == []
    assert (tmp_path / "paper/figures/bland_altman_test.pdf").exists()


@pytest.mark.slow
def test_without_the_data_the_rest_is_written(run, tmp_path):
    shutil.rmtree(tmp_path / "Erika_data")
    problems = write_paper(run, tmp_path / "paper")
    assert len(problems) == 1
    assert "Erika" not in problems[0]
    assert "flow.pdf" not in text_of(tmp_path / "paper")
    assert (tmp_path / "paper/tables/data.csv").read_text().splitlines() == ["split,patients,images", "test,1,2"]


@pytest.mark.slow
def test_a_run_that_was_not_evaluated(run, tmp_path):
    (run / "metrics.json").write_text("{}")
    write_paper(run, tmp_path / "paper")
    assert "[AUTHOR: the run was not evaluated" in (tmp_path / "paper/methods.md").read_text()
    assert not (tmp_path / "paper/tables/results_test.csv").exists()
    with pytest.raises(DataError, match="'val' was not evaluated"):
        write_paper(run, tmp_path / "other", splits=["val"])


@pytest.mark.slow
def test_settings_change_the_methods(run, tmp_path):
    changes = {"approach": "landmark", "landmarks": 7, "scheme": "angle", "loss": "mse", "decode": "argmax"}
    changes |= {"coordinate_weight": 0.5, "region_weight": 3.0, "fixed_copies": 0.25, "clip": 1.0, "ema": 0.99}
    changes |= {
        "rehearse": "phantom",
        "attention": True,
        "dropout": 0.1,
        "schedule": "constant",
        "init": "shipped",
        "validation": "last",
    }
    dataclasses.replace(load_config(run / "config.yaml"), **changes).save(run / "config.yaml")
    (run / "environment.json").write_text("{}")
    write_paper(run, tmp_path / "paper")
    text = (tmp_path / "paper/methods.md").read_text()
    facts = ["7 landmarks", "squared difference", "the maximum of its heatmap", "plus 0.5 times", "counts 3 times"]
    facts += ["25% were also used", "norm of at most 1.", "decay of 0.99", "attention gates", "dropout of 0.1"]
    facts += [
        "which was constant",
        "the weights that ship",
        "synthetic echocardiograms were mixed into each epoch",
        "weights of the last epoch",
        "[AUTHOR: device]",
    ]
    assert [fact for fact in facts if fact not in text] == []


def test_all_settings_have_words():
    assert set(_LOSSES) == {loss for losses in LOSSES.values() for loss in losses}
    fields = Config.__dataclass_fields__
    assert set(_OPTIMIZERS) == set(fields["optimizer"].metadata["choices"])
    augmentations = {name for name, field in fields.items() if field.metadata["help"].startswith("Augmentation")}
    assert set(_AUGMENTATIONS) == augmentations


@pytest.mark.slow
def test_the_commands_flags(run, tmp_path, capsys):
    assert "--paper" in wrong_usage(capsys, "report", run, "--paper", tmp_path / "p", "--out", tmp_path / "page.html")
    assert main(["report", str(run), "--paper", str(tmp_path / "p")]) == 0
    assert "pdflatex main.tex" in capsys.readouterr().out
    assert "exists already" in failure(capsys, "report", run, "--paper", tmp_path / "p")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_document_compiles(run, tmp_path):
    write_paper(run, tmp_path / "paper", names=True)
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path / "paper", capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert b"Missing character" not in done.stdout
