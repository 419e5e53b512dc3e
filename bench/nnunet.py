"""A race against nnU-Net: the same patients, the same minutes, the same measures.

    pip install nnunetv2 monai -c constraints.txt .    # in an environment of its own: nnU-Net needs torchvision
    python bench/nnunet.py WORK --minutes 10 --seeds 0 1 2    # run again to continue after an interruption

The contenders are nnU-Net (2-D), echoseg with landmarks and with masks, and "monai": MONAI's residual U-Net, of the
size in MONAI's tutorials, trained on masks by echoseg. Each trains on the training and validation patients of a data
set for so many minutes, with its own default settings, and segments the test patients; the images of the store are
given to nnU-Net as PNG. The length of each training is chosen from the time of a few steps, so that the learning rate
reaches its end. The masks are compared by the same code. nnU-Net's own plan has large batches and epochs of 250 steps
for a GPU: without one, its network is trained with `--batch` images a step, which is printed.

Writes to WORK: a folder for each training, with result.json and the folder masks, which `echoseg compare --masks`
reads; and race.csv, a row per image.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

CONTENDERS = ("nnunet", "landmark", "mask", "monai")
_DATASET, _NAME = 1, "Dataset001_echoseg"
_TRIAL = 4  # steps that are timed
_STEPS = 25  # of nnU-Net in an epoch, which has 250 in its own plan


def splits_of(store: Any) -> np.ndarray:
    from echoseg.training.config import Config

    return Config().splits(store.samples)


def true_masks(store: Any) -> np.ndarray:
    from echoseg.geometry.ragged import pad_contours
    from echoseg.ops import fill_polygons

    return fill_polygons(pad_contours(store.points, store.offsets), store.size)


def monai_network(channels: int) -> Any:
    from monai.networks.nets import UNet

    size = {"channels": (16, 32, 64, 128, 256), "strides": (2, 2, 2, 2), "num_res_units": 2}
    return UNet(spatial_dims=2, in_channels=1, out_channels=channels, norm="batch", **size)


def mask_files(store: Any, run: Path) -> list[Path]:
    """The file of the mask of each test image."""
    test = store.samples[splits_of(store) == "test"]
    return [
        run / "masks" / f"{video}_frame{frame:04d}.png"
        for video, frame in zip(test["video"], test["frame"], strict=True)
    ]


def train_echoseg(store: Any, contender: str, seed: int, minutes: float, run: Path) -> dict[str, Any]:
    """Train echoseg and predict the test images."""
    import echoseg
    from echoseg.training.config import Config
    from echoseg.training.loop import train

    settings = {"approach": "mask" if contender == "monai" else contender, "seed": seed, "data": str(store.path)}
    network = monai_network if contender == "monai" else None
    times = []
    for epochs in (1, 3):  # the difference is free of what is done once
        started = time.perf_counter()
        train(Config(epochs=epochs, **settings), store, run / f"trial-{epochs}", network=network)
        times.append(time.perf_counter() - started)
    seconds = (times[1] - times[0]) / 2
    epochs = max(1, math.floor((60 * minutes - times[0] + seconds) / seconds))
    started = time.perf_counter()
    train(Config(epochs=epochs, **settings), store, run / "run", network=network)
    taken = time.perf_counter() - started
    predict = echoseg.load(run / "run", network=network)
    test = np.flatnonzero(splits_of(store) == "test")
    started = time.perf_counter()
    masks = predict(store.frames[test]).masks
    rate = len(test) / (time.perf_counter() - started)
    parameters = sum(tensor.numel() for tensor in predict._model.parameters())
    return {
        "masks": masks,
        "minutes": taken / 60,
        "epochs": epochs,
        "frames_per_second": rate,
        "parameters": parameters,
    }


def write_raw(store: Any, folder: Path) -> None:
    """Write the training and validation images as a data set of nnU-Net, with the same split."""
    splits, masks = splits_of(store), true_masks(store)
    raw = folder / "raw" / _NAME
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True)
    cases: dict[str, list[str]] = {"train": [], "val": []}
    for index in np.flatnonzero(np.isin(splits, ["train", "val"])):
        case = f"case{index:06d}"
        cv2.imwrite(str(raw / "imagesTr" / f"{case}_0000.png"), np.asarray(store.frames[index]))
        cv2.imwrite(str(raw / "labelsTr" / f"{case}.png"), masks[index])
        cases[splits[index]].append(case)
    labels = {"background": 0, "structure": 1}
    count = sum(map(len, cases.values()))
    description = {"channel_names": {"0": "grey"}, "labels": labels, "numTraining": count, "file_ending": ".png"}
    (raw / "dataset.json").write_text(json.dumps(description))
    (folder / "splits.json").write_text(json.dumps([cases]))


def prepare_nnunet(store: Any, folder: Path) -> None:
    """Write the data set, and let nnU-Net plan and preprocess it."""
    if (folder / "planned").exists():
        return
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    write_raw(store, folder)
    extract_fingerprints([_DATASET], num_processes=2, show_progress_bar=False)
    plan_experiments([_DATASET])
    preprocess([_DATASET], configurations=("2d",), num_processes=(2,), show_progress_bar=False)
    splits = (folder / "splits.json").read_text()
    (folder / "preprocessed" / _NAME / "splits_final.json").write_text(splits)
    (folder / "planned").touch()


def train_nnunet(store: Any, seed: int, minutes: float, run: Path, batch: int) -> dict[str, Any]:
    """Train nnU-Net and predict the test images."""
    folder = run.parent / "nnunet-data"
    for name in ("raw", "preprocessed"):
        os.environ[f"nnUNet_{name}"] = str(folder / name)
    os.environ |= {"nnUNet_results": str(run / "results"), "nnUNet_n_proc_DA": "1", "nnUNet_compile": "false"}
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    prepare_nnunet(store, folder)
    preprocessed = folder / "preprocessed" / _NAME
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text()) | {"continue_training": False}
    plan = plans["configurations"]["2d"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    own_batch = plan["batch_size"]
    if device.type == "cpu":
        plan["batch_size"] = batch
    print(f"nnU-Net's plan: patch {plan['patch_size']}, batch {own_batch}, used {plan['batch_size']}", flush=True)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (nnU-Net draws from it)
    description = json.loads((folder / "raw" / _NAME / "dataset.json").read_text())
    trainer = nnUNetTrainer(plans, "2d", 0, description, device)
    trainer.disable_checkpointing = True
    trainer.num_val_iterations_per_epoch, trainer.num_iterations_per_epoch = 1, _STEPS
    trainer.on_train_start()
    trainer.network.train()
    trainer.train_step(next(trainer.dataloader_train))
    started = time.perf_counter()
    for _ in range(_TRIAL):
        trainer.train_step(next(trainer.dataloader_train))
    seconds = (time.perf_counter() - started) / _TRIAL
    trainer.on_train_end()
    trainer.num_epochs = max(1, math.floor(60 * minutes / (seconds * (_STEPS + 1))))
    trainer.was_initialized = False  # so that the network, the optimizer and its schedule begin again
    started = time.perf_counter()
    trainer.run_training()
    taken = time.perf_counter() - started
    predictor = nnUNetPredictor(device=device, allow_tqdm=False)
    trainer.set_deep_supervision_enabled(False)
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        description,
        "nnUNetTrainer",
        trainer.inference_allowed_mirroring_axes,
    )
    test = np.flatnonzero(splits_of(store) == "test")
    started = time.perf_counter()
    masks = [
        predictor.predict_single_npy_array(frame[None, None].astype(np.float32), {"spacing": (999, 1, 1)})[0]
        for frame in store.frames[test]
    ]
    rate = len(test) / (time.perf_counter() - started)
    parameters = sum(tensor.numel() for tensor in trainer.network.parameters())
    return {
        "masks": np.array(masks, np.uint8),
        "minutes": taken / 60,
        "epochs": trainer.num_epochs,
        "steps": trainer.num_epochs * _STEPS,
        "frames_per_second": rate,
        "parameters": parameters,
    }


def run_contender(arguments: argparse.Namespace, contender: str, seed: int) -> None:
    """Train and test one contender in this process."""
    import torch

    from echoseg.datasets.store import prepare
    from echoseg.phantom.cached import cached_phantom

    torch.set_num_threads(os.cpu_count() or 1)
    store = prepare(arguments.data or cached_phantom())
    run = arguments.work / f"{contender}-{arguments.minutes:g}-minutes-seed-{seed}"
    run.mkdir(exist_ok=True)
    if contender == "nnunet":
        result = train_nnunet(store, seed, arguments.minutes, run, arguments.batch)
    else:
        result = train_echoseg(store, contender, seed, arguments.minutes, run)
    (run / "masks").mkdir(exist_ok=True)
    for path, mask in zip(mask_files(store, run), result.pop("masks"), strict=True):
        cv2.imwrite(str(path), 255 * mask)
    result["memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    (run / "result.json").write_text(json.dumps(result))


def measure(arguments: argparse.Namespace, finished: list[tuple[str, int, Path]]) -> pd.DataFrame:
    """A row per image, contender and seed."""
    from echoseg.datasets.store import prepare
    from echoseg.metrics.overlap import dice
    from echoseg.metrics.surface import surface_distances
    from echoseg.ops import normalized_surface_dice
    from echoseg.phantom.cached import cached_phantom

    store = prepare(arguments.data or cached_phantom())
    test = np.flatnonzero(splits_of(store) == "test")
    true, tables = true_masks(store)[test], []
    for contender, seed, run in finished:
        masks = np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in mask_files(store, run)])
        table = store.samples.iloc[test][["video", "frame", "patient"]].reset_index(drop=True)
        table = table.assign(contender=contender, seed=seed, dice=dice(masks, true))
        table["nsd_1px"] = normalized_surface_dice(masks, true, tolerance=1.0)
        table["hd95_px"] = surface_distances(masks, true)[0]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def report(images: pd.DataFrame, runs: pd.DataFrame) -> str:
    """A table of the contenders, with the difference of Dice from nnU-Net, paired over the patients."""
    from echoseg.metrics.bootstrap import mean_interval

    patients = images.pivot_table(index="patient", columns="contender", values="dice")
    lines = ["contender | seeds | Dice | from nnU-Net | NSD 1 px | HD95, px | minutes | frames/s | parameters | GiB"]
    for contender, group in images.groupby("contender", sort=False):
        gain = ""
        if contender != "nnunet" and "nnunet" in patients:
            gains = patients[contender] - patients["nnunet"]
            low, high = mean_interval(gains.to_numpy(), gains.index.tolist())
            gain = f"{gains.mean():+.4f} ({low:+.4f} to {high:+.4f})"
        means = group[["dice", "nsd_1px", "hd95_px"]].mean()
        of_run = runs[runs["contender"] == contender].mean(numeric_only=True)
        lines.append(
            f"{contender} | {group['seed'].nunique()} | {means['dice']:.4f} | {gain} | {means['nsd_1px']:.4f} | "
            f"{means['hd95_px']:.2f} | {of_run['minutes']:.1f} | {of_run['frames_per_second']:.1f} | "
            f"{of_run['parameters'] / 1e6:.2f} M | {of_run['memory_gib']:.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for the trainings")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="data set (default: 400 phantoms)")
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="of each training (default: 10)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N")
    parser.add_argument("--contenders", nargs="+", default=CONTENDERS, choices=CONTENDERS)
    parser.add_argument(
        "--batch", type=int, default=16, metavar="N", help="nnU-Net's batch without a GPU (default: 16)"
    )
    parser.add_argument("--only", nargs=2, metavar=("CONTENDER", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.only:
        run_contender(arguments, arguments.only[0], int(arguments.only[1]))
        return
    finished, results = [], []
    for seed in arguments.seeds:
        for contender in arguments.contenders:
            run = arguments.work / f"{contender}-{arguments.minutes:g}-minutes-seed-{seed}"
            if not (run / "result.json").exists():  # each in a process of its own, for its memory
                subprocess.run([sys.executable, *sys.argv, "--only", contender, str(seed)], check=True)
            finished.append((contender, seed, run))
            results.append({"contender": contender, **json.loads((run / "result.json").read_text())})
        images = measure(arguments, finished)
        images.to_csv(arguments.work / "race.csv", index=False)
        print(report(images, pd.DataFrame(results)), flush=True)


if __name__ == "__main__":
    main()
