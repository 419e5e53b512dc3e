"""The methods of a paper in sentences that hold the run's own facts, and marks where only the author knows them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from echoseg.inference.postprocess import parse_step
from echoseg.manuscript.facts import SPLIT_TITLES, RunFacts
from echoseg.manuscript.formats import AUTHOR
from echoseg.manuscript.measures import agreement_terms_of, definitions_of
from echoseg.report.licences import SYNTHETIC
from echoseg.training.config import PHANTOM, SHIPPED, Config
from echoseg.training.splits import NO_TEST
from echoseg.utils.words import counted

_LOSSES = {
    "dice_bce": "the sum of the soft Dice loss and the binary cross-entropy",
    "bce": "the binary cross-entropy of each pixel",
    "weighted_bce": "the binary cross-entropy with class weights that balance foreground and background in each batch",
    "dice": "the soft Dice loss of each image",
    "focal": "the focal loss with γ = 2 (Lin et al., ICCV 2017)",
    "mse": "the squared difference between the sigmoid of the logits and the heatmap",
    "channel_ce": "the cross-entropy with a softmax over the channels of each pixel",
    "spatial_ce": "the cross-entropy of the heatmap, scaled to sum 1, with a softmax over the pixels of each channel",
}
_OPTIMIZERS = {
    "adamw": "AdamW (Loshchilov and Hutter, ICLR 2019)",
    "adam": "Adam (Kingma and Ba, ICLR 2015)",
    "sgd": "stochastic gradient descent with Nesterov momentum 0.9",
}
_NETWORKS = {
    "unet": "a U-Net (Ronneberger et al., MICCAI 2015)",
    "resunet": "a U-Net of residual blocks (Zhang et al., IEEE GRSL 2018)",
}
_NORMS = {"batch": "batch normalization", "group": "group normalization", "none": "no normalization layers"}
_AUGMENTATIONS = {
    "rotation": "rotation by up to ±{:g}°",
    "zoom": "a change of scale by up to {:.0%}",
    "shift": "a shift by up to {:.0%} of the sides",
    "flip": "mirroring left and right with probability {:g}",
    "gamma": "gamma by up to a factor of {exp:.2f}",
    "gain": "brightness by up to a factor of {exp:.2f}",
    "shade": "a gradient of brightness by up to a factor of {exp:.2f} between two sides",
    "attenuation": "a loss of brightness with depth by up to a factor of {exp:.2f}",
    "shadow": "acoustic shadows that darken by up to a factor of {exp:.2f}",
    "blur": "blurring by a mean of 3 × 3 pixels with a share of up to {:g}",
    "noise": "multiplicative speckle noise with a standard deviation of up to {:g}",
}
"""Setting → what it does; a factor is the exponential of the setting. Source: `echoseg.training.augment`."""
_POSTPROCESSING = {
    "threshold": "a threshold of {:g} for the probability of a pixel",
    "reject_blank": "emptying frames with a confidence below {:g}",
    "reject_bright": "emptying frames in which the mean of the probabilities, scaled from 0 to 1, is above {:g}",
    "closing": "a morphological closing with a square of {:g} pixels",
}
"""Post-processing step → what it does. Source: `echoseg.inference.postprocess`."""


def methods_sections(facts: RunFacts, splits: Sequence[str]) -> dict[str, list[str]]:
    """The methods.

    Args:
        facts: The facts of the run.
        splits: The splits whose results are shown.

    Returns:
        By the title of a paragraph, its sentences, as prose; see `echoseg.manuscript.formats.prose_to_latex`.
    """
    return {
        "Data": _data(facts),
        "Preprocessing": _preprocessing(facts.training),
        "Network": _network(facts),
        "Training": [*_training(facts), *_hardware(facts)],
        "Evaluation": _evaluation(facts, splits),
        "For the author": _for_the_author(facts),
    }


def _data(facts: RunFacts) -> list[str]:
    config, counts = facts.run.config, facts.counts
    kind = f" in the format of {facts.data['format']}" if "format" in facts.data else ""
    sentences = [f"The {facts.run.structure} was segmented in {facts.data_title}{kind}."]
    if len(counts):
        total, patients = int(counts["images"].sum()), facts.data["used_patients"]
        parts = [
            f"{counts.loc[split, 'images']} of {counted(counts.loc[split, 'patients'], 'patient')} for {title}"
            if split != "unused"
            else f"{counts.loc[split, 'images']} were not used"
            for split, title in SPLIT_TITLES.items()
            if split in counts.index
        ]
        listed = f": {', '.join(parts)}" if config.folds is None else ""
        sentences.append(f"There are {total} usable traced images of {counted(patients, 'patient')}{listed}.")
    for name, what in (("spacing_mm", "The size of a pixel"), ("thickness_mm", "The distance between slices")):
        if limits := facts.data.get(name):
            low, high = (f"{limit:.3g}" for limit in limits)
            sentences.append(f"{what} is {low if low == high else f'{low} to {high}'} mm.")
    if facts.left_out:
        sentences.append(f"{sum(facts.left_out.values())} files, frames or rows could not be used and were left out.")
    return [*sentences, _splits(facts)]


def _splits(facts: RunFacts) -> str:
    config = facts.run.config
    if config.folds is not None:
        return (
            f"The patients were divided by a hash of their names into {config.folds} folds; each fold was tested by a"
            " network that was trained on the others."
        )
    if config.split_by == "image":
        return "The images were divided one by one, so that images of one patient may be in several splits."
    if config.test_fold == NO_TEST:
        return "All patients were used for training, so that there is no test split."
    drawn = config.split_shares or config.split_counts or not facts.data.get("given_splits", True)
    how = "were drawn by a hash of the patient's name" if drawn else "are those of the data set"
    return f"The splits {how}; all images of a patient are in the same split."


def _preprocessing(config: Config) -> list[str]:
    height, width = config.size
    crop = f"cropped to the central square of {config.fov_mm:g} mm and " if config.fov_mm is not None else ""
    return [
        f"Frames were {crop}resized to {height} × {width} pixels, and each was shifted and scaled to mean 0 and"
        " standard deviation 1."
    ]


def _network(facts: RunFacts) -> list[str]:
    config = facts.training
    if "custom network" in facts.run.environment:
        network = "the author's own network"
    else:
        network = (
            f"{_NETWORKS[config.network]} with {config.width} channels at the first of {config.depth + 1} levels and"
            f" {_NORMS[config.norm]}"
        )
        more = [
            text
            for text, is_used in (
                (f"dropout of {config.dropout:g} at the two deepest levels", config.dropout > 0),
                ("attention gates (Oktay et al., MIDL 2018)", config.attention),
                ("no skip connections", not config.skips),
                ("no convolutions at the deepest level", not config.bottleneck),
            )
            if is_used
        ]
        network = ", ".join([network, *more])
    parameters = f"{facts.parameters:,} parameters" if facts.parameters else f"{AUTHOR} number of parameters]"
    sentences = [f"The network was {network} ({parameters})."]
    if config.approach == "mask":
        return [*sentences, f"It predicts for each pixel whether it belongs to the {facts.run.structure}."]
    shape = f"Gaussian heatmaps with a standard deviation of {config.sigma:g} pixels"
    if config.heatmap == "euclidean":
        shape = f"cone-shaped heatmaps with a radius of {config.radius:g} pixels"
    band = ", which are zero outside a band along the border" if config.band_iterations else ""
    decode = {
        "soft_argmax": "the centroid of its heatmap in a window around it (mean shift, Cheng, IEEE PAMI 1995)",
        "dark": "the vertex of a parabola at the maximum of the logarithm of its heatmap (Zhang et al., CVPR 2020)",
        "argmax": "the maximum of its heatmap",
    }[config.decode]
    return [
        *sentences,
        f"It predicts {config.landmarks} landmarks on the border of the {facts.run.structure} (scheme"
        f" `{config.scheme}`) as {shape}{band}.",
        f"The position of a landmark is {decode}; a curve through the landmarks (`{config.outline}`) is the contour.",
    ]


def _training(facts: RunFacts) -> list[str]:
    config, own = facts.training, facts.run.environment
    loss = "the author's own" if "custom loss" in own else _LOSSES[str(config.loss)]
    starts = dict.fromkeys((None, "none"), "random weights") | {SHIPPED: "the weights that ship with echoseg"}
    start = starts.get(config.init, "the weights of another run")
    schedule = "rose over the first tenth of the steps and then fell to zero as a cosine"
    if config.schedule == "constant":
        schedule = "was constant"
    length = " to ".join(map(str, sorted({min(facts.epochs), max(facts.epochs)}))) if facts.epochs else config.epochs
    rate = f"a highest learning rate of {config.learning_rate:g}, which {schedule}"
    sentences = [
        f"The loss was {loss}{_loss_weights(config)}.",
        f"Training started from {start} (seed {config.seed}) and ran for {length} epochs in batches of"
        f" {config.batch_size} images, by {_OPTIMIZERS[config.optimizer]} with a weight decay of"
        f" {config.weight_decay:g} and {rate}.",
    ]
    if config.rehearse is not None:
        earlier = "synthetic echocardiograms" if config.rehearse == PHANTOM else "an earlier data set"
        sentences.append(f"Images of {earlier} were mixed into each epoch, at most as many as there were new ones.")
    if config.clip is not None:
        sentences.append(f"Gradients were scaled down to a norm of at most {config.clip:g}.")
    if config.ema:
        sentences.append(f"A moving average of the weights, with a decay of {config.ema:g} per step, was kept.")
    augmentation = ["The augmentation was the author's own."] if "custom augment" in own else _augmentation(config)
    return [*sentences, *augmentation, _selection(config)]


def _loss_weights(config: Config) -> str:
    """What is added to the loss, or counts more in it."""
    text = ""
    if config.approach == "landmark" and config.coordinate_weight:
        text += f", plus {config.coordinate_weight:g} times the distance of a landmark from the centroid of its heatmap"
    if config.region_weight != 1:
        text += f"; within a part of the frame, it counts {config.region_weight:g} times as much"
    return text


def _augmentation(config: Config) -> list[str]:
    parts = [
        text.format(value, exp=math.exp(value))
        for name, text in _AUGMENTATIONS.items()
        if (value := getattr(config, name))
    ]
    sentences = [f"Each image was augmented at random each time: {', '.join(parts)}."] if parts else []
    if config.fixed_copies:
        sentences.append(
            f"Of the training images, {config.fixed_copies:.0%} were also used as three copies: rotated by 20°,"
            " enlarged by a fifth, and mirrored."
        )
    return sentences or ["The images were not augmented."]


def _selection(config: Config) -> str:
    if config.validation == "split":
        return "The weights of the epoch with the highest foreground Dice on the validation split were kept."
    return "The weights of the last epoch were kept."


def _hardware(facts: RunFacts) -> list[str]:
    environment = facts.run.environment
    device = f"`{environment['device']}`" if "device" in environment else f"{AUTHOR} device]"
    time = f"{facts.minutes:.1f} minutes" if math.isfinite(facts.minutes) else f"{AUTHOR} duration]"
    precision = {"bfloat16": "bfloat16", "float32": "float32"}.get(facts.training.precision, "mixed")
    versions = [
        f"{title} {environment[name]}"
        for name, title in (
            ("echoseg version", "echoseg"),
            ("torch", "PyTorch"),
            ("python", "Python"),
            ("numpy", "NumPy"),
            ("opencv", "OpenCV"),
        )
        if name in environment
    ]
    return [
        f"Training took {time} on the device {device} with {precision} computations.",
        f"The software was {', '.join(versions)}." if versions else f"{AUTHOR} versions of the software]",
    ]


def _evaluation(facts: RunFacts, splits: Sequence[str]) -> list[str]:
    metrics = [facts.run.metrics[split] for split in splits]
    if not metrics:
        return [f"{AUTHOR} the run was not evaluated; run `echoseg evaluate`]"]
    sentences = [
        f"The predicted contours were compared with the tracings, on images of the size that the network gets, by"
        f" {'; '.join(definitions_of(metrics))}.",
        "An empty prediction has a Dice of 0 and distances of the image's diagonal.",
        *_blanks(facts, splits),
        *_postprocessing(facts, splits),
    ]
    if terms := agreement_terms_of(metrics):
        sentences += [
            "Volumes were computed from contours by the method of discs, and the ejection fraction (EF) from the"
            " volumes at end-diastole and end-systole.",
            f"Their agreement with the reference is given as {'; '.join(terms)}.",
        ]
    if any("stacks" in values for values in metrics):
        sentences.append("The volume of a stack is the sum of the areas of its slices times their distance.")
    kind = ", expanded for their number (Hesterberg, 2015)" if all("ci95" in values for values in metrics) else ""
    sentences.append(
        "95 % confidence intervals are percentiles of a bootstrap that resamples patients with all of their images"
        f" (Efron and Tibshirani, 1993){kind}."
    )
    for split in splits:
        if split in facts.elsewhere:
            sentences.append(f"The split `{split}` is of other data than those of the training.")
        elif split in ("train", "all"):
            sentences.append(f"The split `{split}` contains images of the training.")
    return sentences


def _blanks(facts: RunFacts, splits: Sequence[str]) -> list[str]:
    """Whether blank slices are in the means, of splits that have such slices."""
    sentences = []
    for split in splits:
        values = facts.run.metrics[split]
        if "blanks" in values and values.get("blanks_averaged"):
            sentences.append(
                f"The means of the split `{split}` include slices on which nothing is traced; there, an empty"
                " prediction has a Dice of 1 and any other one a Dice of 0."
            )
        elif "blanks" in values:
            sentences.append(f"The means of the split `{split}` leave out slices on which nothing is traced.")
    return sentences


def _postprocessing(facts: RunFacts, splits: Sequence[str]) -> list[str]:
    sentences = []
    for split in splits:
        names = facts.run.metrics[split].get("postprocess", [])
        steps = [_POSTPROCESSING[name.partition("=")[0]].format(parse_step(name)[1]) for name in names]
        if steps:
            sentences.append(f"The predictions of the split `{split}` were post-processed by {', then '.join(steps)}.")
    return sentences


def _for_the_author(facts: RunFacts) -> list[str]:
    if facts.run.data == SYNTHETIC:
        return ["The images are synthetic: the results say nothing about patients."]
    return [
        f"{AUTHOR} where, when and by which criteria the patients were recruited; scanners and acquisition]",
        f"{AUTHOR} ethics approval and consent; de-identification]",
        f"{AUTHOR} who traced the contours, with which training and tool, and how observers vary]",
    ]
