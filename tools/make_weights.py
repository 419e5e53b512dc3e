"""Make the networks that ship with echoseg, from synthetic echocardiograms alone.

    python tools/make_weights.py WORK    # an hour and a half on two cores; run again to continue after an interruption

WORK gets a store of phantoms and a run folder for each approach; masks are learned from the weights for landmarks. What
`echoseg predict` needs of them, with the weights in half precision, goes to python/echoseg/models/weights/. No test and
no benchmark uses the seed of these phantoms.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import torch

import echoseg
from echoseg.inference.predictor import OPTIONAL_FILES
from echoseg.models import weights
from echoseg.phantom import write_phantom_store
from echoseg.report.card import model_card
from echoseg.training.checkpoint import BEST, CONFIG, load_run, weights_metadata, write_weights
from echoseg.training.logs import configure_logging
from echoseg.training.saver import Snapshot
from echoseg.utils.checksum import add_checksum, verify_checksum

PATIENTS, SEED, FRAMES = 6700, 1911, 5
SETTINGS: dict[str, dict[str, Any]] = {
    "landmark": {"landmarks": 13, "width": 16, "batch_size": 32, "epochs": 6},
    "mask": {"width": 16, "batch_size": 32, "epochs": 2, "init": "landmark", "learning_rate": 3e-3},
}
_COPIED = ("log.csv", *OPTIONAL_FILES)


def make(work: Path, approach: str) -> None:
    """Train the network of an approach, or continue its training, and copy it into the package."""
    store = work / "phantom-store"
    if not store.exists():
        write_phantom_store(store, patients=PATIENTS, seed=SEED, frames=FRAMES)
    run = work / approach
    if not (run / "metrics.json").exists():
        if run.exists():
            echoseg.train(out=run, resume=True)
        else:
            settings = SETTINGS[approach]
            init = str(work / settings["init"]) if "init" in settings else None
            echoseg.train(store, approach=approach, out=run, **{**settings, "init": init})
    pack(run, Path(weights.__file__).parent / approach)


def pack(run: Path, out: Path) -> None:
    """Copy what a prediction needs of a run, with the weights in half precision, its log, its metrics and its card."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    config, model, _ = load_run(run)
    tensors = Snapshot(model.state_dict()).on_cpu()
    halved = {name: tensor.half() if tensor.dtype == torch.float32 else tensor for name, tensor in tensors.items()}
    write_weights(out / BEST, halved, weights_metadata(model, config))
    dataclasses.replace(config, data=None, init=None).save(out / CONFIG)
    for name in _COPIED:
        if (run / name).exists():
            shutil.copyfile(run / name, out / name)
    environment = read_json(run / "environment.json")
    del environment["command"]  # which names folders
    write_json(out / "environment.json", environment)
    metrics = {split: verify_checksum(values) for split, values in read_json(run / "metrics.json").items()}
    renamed = {split: add_checksum({**values, "data": Path(values["data"]).name}) for split, values in metrics.items()}
    write_json(out / "metrics.json", renamed)
    (out / "CARD.md").write_text(card(out, config.approach), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def card(folder: Path, approach: str) -> str:
    """The model card of a run, with the licence and the use of the networks that ship."""
    text = model_card(folder)
    of_weights = "Of the weights: "
    replaced = {
        "license: unknown": "license: mit",
        f"# {folder.name}\n": f"# echoseg, {approach}\n",
        of_weights + "whoever trained them chooses it, within the terms of the data's licence.": of_weights + "MIT.",
        "in images like those of its training data.": "in apical echocardiograms of adults. It knows no short-axis"
        " slices, no MRI and no other structure.",
        'echoseg.load("FOLDER")': f'echoseg.load(approach="{approach}")',
    }
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


if __name__ == "__main__":
    configure_logging("text")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for the phantoms and the runs")
    folder = parser.parse_args().work
    for name in SETTINGS:
        make(folder, name)
