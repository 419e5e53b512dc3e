"""Masks as tools write them: each is read to the pixel, or refused by name."""

from __future__ import annotations

import json

import cv2
import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from _masks import ellipse, make_image, save_image
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.mask_values import examine, round_values
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.ops import fill_polygons

SIZE = (60, 72)
LV = [ellipse(radius, SIZE) for radius in (18.0, 20.0, 22.0, 24.0)]
RV = np.zeros(SIZE, np.uint8)
RV[20:40, 54:66] = 1
RED, GREEN = (255, 0, 0), (0, 255, 0)


def write(folder, masks, labels=None, suffix=".png"):
    """Write pairs; a mask is an array or a function that writes a path."""
    for number, (lv, mask) in enumerate(zip(LV, masks, strict=False)):
        save_image(folder / f"images/p{number}.png", make_image(lv))
        path = folder / f"masks/p{number}{suffix}"
        path.parent.mkdir(exist_ok=True)
        if callable(mask):
            mask(path)
        else:
            Image.fromarray(mask).save(path)
    if labels is not None:
        (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def check(dataset, expected=LV):
    assert dataset.faults == ()
    for recording, mask in zip(dataset.recordings, expected, strict=True):
        filled = fill_polygons(recording.tracings[0].coordinates[None], mask.shape)[0]
        np.testing.assert_array_equal(filled, mask > 0)


def dice(first, second):
    return 2 * int((first & second).sum()) / int(first.sum() + second.sum())


def two(lv, first=1, second=2):
    return np.where(lv > 0, first, RV * second).astype(np.uint8)


def palette(colours, indices=None, **options):
    """A function that writes a mask with a palette."""

    def save(mask):
        def write_to(path):
            image = Image.fromarray(mask if indices is None else np.array(indices, np.uint8)[mask])
            image.putpalette([value for colour in colours for value in colour])
            image.save(path, **options)

        return write_to

    return save


def colours(*table, alpha=None):
    def paint(mask):
        image = np.array(table, np.uint8)[mask]
        return image if alpha is None else np.dstack([image, np.array(alpha, np.uint8)[mask]])

    return paint


VOC = [(0, 0, 0), (128, 0, 0), (0, 128, 0)]
ONE_LABEL = {
    "0 and 1": lambda lv: lv,
    "0 and 255": lambda lv: lv * 255,
    "1 bit": lambda lv: Image.fromarray(lv > 0).save,
    "16 bits": lambda lv: lv.astype(np.uint16) * 65535,
    "red": colours((0, 0, 0), RED),
    "grey as RGB": colours((0, 0, 0), (255, 255, 255)),
    "grey with alpha": colours((0, 0, 0), (255, 255, 255), alpha=(255, 255)),
    "white on transparent white": colours((255, 255, 255), (255, 255, 255), alpha=(0, 255)),
    "black on transparent": colours((0, 0, 0), (0, 0, 0), alpha=(0, 200)),
    "red on transparent white": colours((255, 255, 255), RED, alpha=(0, 128)),
    "alpha 0 everywhere": colours((0, 0, 0), RED, alpha=(0, 0)),
    "palette": palette(VOC),
    "palette of 1 bit": palette(VOC[:2], bits=1),
    "palette, white first": palette([(255, 255, 255), (0, 0, 0)], indices=(1, 0)),
}


@pytest.mark.parametrize("case", ONE_LABEL)
def test_one_label_is_read_however_it_is_written(tmp_path, case):
    dataset = read_dataset(write(tmp_path, [ONE_LABEL[case](lv) for lv in LV]))
    check(dataset)
    assert dataset.notes == ()


def write_tiff(mask, **tags):
    """A mask whose samples are stored as they are, with a tag that says that 0 is white."""

    def write_to(path):
        cv2.imwrite(str(path), mask)
        data = bytearray(path.read_bytes())
        entry = data.index(b"\x06\x01\x03\x00\x01\x00\x00\x00")  # PhotometricInterpretation
        data[entry + 8 : entry + 10] = b"\0\0"
        path.write_bytes(data)

    return write_to


def test_a_tiff_in_which_0_is_white_keeps_its_stored_values(tmp_path):
    check(read_dataset(write(tmp_path, [write_tiff(lv * 255) for lv in LV], suffix=".tif")))


@pytest.mark.parametrize("suffix", [".bmp", ".tif"])
def test_palettes_of_other_types_are_read(tmp_path, suffix):
    check(read_dataset(write(tmp_path, [palette(VOC)(two(lv)) for lv in LV], {"LV": 1, "RV": 2}, suffix)))


SEVERAL = {
    "indices": ({"background": 0, "LV": 1, "RV": 2}, palette(VOC)),
    "2 bits": ({"LV": 1, "RV": 2}, palette(VOC, bits=2)),
    "any palette": ({"LV": 1, "RV": 2}, palette([(9, 9, 200), (200, 0, 9), (3, 200, 0)])),
    "colours": ({"LV": "#ff0000", "RV": "#00ff00"}, colours((0, 0, 0), RED, GREEN)),
    "colours by number": ({"#ff0000": "LV", "#00ff00": "RV"}, colours((0, 0, 0), RED, GREEN)),
    "white of a palette": ({"LV": "#ffffff", "RV": "#ff0000"}, palette([(0, 0, 0), (255, 255, 255), RED])),
    "greys of a palette": ({"LV": "#808080", "RV": "#ffffff"}, palette([(0, 0, 0), (128,) * 3, (255,) * 3])),
    "colours of a palette": ({"LV": "#800000", "RV": "#008000"}, palette(VOC)),
    "greys": ({"LV": 127, "RV": 255}, lambda mask: np.array([0, 127, 255], np.uint8)[mask]),
    "scaled to 8 bits": ({"LV": 1, "RV": 2}, lambda mask: np.array([0, 128, 255], np.uint8)[mask]),
    "scaled to 16 bits": ({"LV": 1, "RV": 2}, lambda mask: mask.astype(np.uint16) * 257),
    "ignored": ({"background": 0, "LV": 1, "RV": 2, "ignore": 255}, lambda mask: mask),
    "from 1": ({"background": 1, "LV": 2, "RV": 3}, lambda mask: mask + 1),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_several_labels_are_read_by_their_names(tmp_path, case):
    labels, paint = SEVERAL[case]
    folder = write(tmp_path, [paint(two(lv)) for lv in LV], labels)
    check(read_dataset(folder))
    check(read_dataset(folder, "RV"), [RV * (1 - lv) for lv in LV])


@pytest.mark.parametrize("suffix", [".png", ".gif"])
@pytest.mark.parametrize("labels", [{"LV": "#ffffff"}, {"#ffffff": "LV"}, {"LV": ["#ffffff"]}])
def test_white_is_named_as_a_colour_of_a_palette(tmp_path, labels, suffix):
    paint = palette([(0, 0, 0), (255, 255, 255)])
    check(read_dataset(write(tmp_path, [paint(lv) for lv in LV], labels, suffix)))


def test_a_palette_without_unused_colours_is_read_by_its_colours(tmp_path):
    masks = [palette([(0, 0, 0), RED])(lv) for lv in LV[:3]] + [palette([(0, 0, 0), GREEN])(RV)]
    with pytest.raises(DataError, match=r'different labels \(#ff0000 in 3 masks .*#00ff00 in 1 mask .*"LV": "#ff0000"'):
        read_dataset(write(tmp_path, masks))


def test_indices_and_colours_of_the_same_label_agree(tmp_path):
    paint = colours((0, 0, 0), RED)
    check(read_dataset(write(tmp_path, [palette([(0, 0, 0), RED])(LV[0]), *map(paint, LV[1:])])))


@pytest.mark.parametrize("values", [(1, 255), (255, 1), (65535, 255)])
def test_two_ways_to_write_inside_are_one_label(tmp_path, values):
    masks = [lv.astype(np.uint16) * values[number % 2] for number, lv in enumerate(LV)]
    dataset = read_dataset(write(tmp_path, masks))
    check(dataset)
    assert "same label" in dataset.notes[0]


def test_255_is_the_only_declared_label(tmp_path):
    dataset = read_dataset(write(tmp_path, [lv * 255 for lv in LV], {"background": 0, "LV": 1}))
    check(dataset)
    assert dataset.notes == ("labels are scaled: 255 for 1",)


def test_255_among_several_declared_labels_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"p0\.png: has no pixel of label 1, only of 255"):
        read_dataset(write(tmp_path, [lv * 255 for lv in LV], {"background": 0, "LV": 1, "RV": 2}))


def test_labels_without_a_name_are_told(tmp_path):
    dataset = read_dataset(write(tmp_path, [two(lv, 1, 7) for lv in LV], {"LV": 1}))
    check(dataset)
    assert dataset.notes == ("labels without a name in dataset.json: 7",)


def test_a_background_that_is_not_0_can_be_named(tmp_path):
    masks = [(1 - lv) * 255 for lv in LV]
    with pytest.raises(DataError, match=r"p0\.png: covers 8\d% of the image and its corners.*\"background\": 255"):
        read_dataset(write(tmp_path, masks))
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 255, "LV": 0}}')
    check(read_dataset(tmp_path))
    check(read_dataset(write(tmp_path, [(1 - lv).astype(np.uint16) * 65535 for lv in LV])))


SOFT = {
    "blurred": lambda lv: cv2.GaussianBlur(lv * 255, (3, 3), 0),
    "blurred more": lambda lv: cv2.GaussianBlur(lv * 255, (0, 0), 2.0),
    "enlarged": lambda lv: cv2.resize(cv2.resize(lv * 255, (36, 30)), SIZE[::-1]),
    "JPEG": lambda lv: lambda path: cv2.imwrite(str(path), lv * 255, [cv2.IMWRITE_JPEG_QUALITY, 85]),
}


@pytest.mark.parametrize("case", SOFT)
@pytest.mark.parametrize("labels", [None, {"background": 0, "LV": 1}])
def test_soft_edges_are_cut_at_the_half_and_told(tmp_path, case, labels):
    masks = [SOFT[case](lv) for lv in LV]
    dataset = read_dataset(write(tmp_path, masks, labels, ".jpg" if case == "JPEG" else ".png"))
    assert dataset.faults == ()
    assert "soft edges: pixels above 127" in dataset.notes[0]
    for recording, lv in zip(dataset.recordings, LV, strict=True):
        filled = fill_polygons(recording.tracings[0].coordinates[None], SIZE)[0]
        assert dice(filled, lv) > 0.98


def test_one_soft_mask_among_others_is_cut(tmp_path):
    dataset = read_dataset(write(tmp_path, [SOFT["blurred"](LV[0]), *(lv * 255 for lv in LV[1:])]))
    check(dataset)
    assert dataset.notes == ("soft edges: pixels above 127.5 are the structure in 1 mask (masks/p0.png)",)


def test_soft_edges_between_several_labels_cost_their_file(tmp_path):
    masks = [two(lv) for lv in LV[1:]]
    blurred = cv2.GaussianBlur(LV[0] * 255, (3, 3), 0)
    dataset = read_dataset(write(tmp_path, [blurred, *masks], {"LV": 1, "RV": 2}))
    assert [str(fault) for fault in dataset.faults] == [
        "masks/p0.png: has soft edges, which mix its labels; save the labels as PNG, without smoothing"
    ]
    assert len(dataset.recordings) == 3


def test_colours_mixed_by_jpeg_are_refused_but_one_colour_is_cut(tmp_path):
    def coloured(mask):
        return lambda path: Image.fromarray(colours((0, 0, 0), RED, GREEN)(mask)).save(path, quality=90)

    masks = [coloured(two(lv)) for lv in LV]
    with pytest.raises(DataError, match=r"p0\.jpg: its edges mix the colours of several labels"):
        read_dataset(write(tmp_path / "a", masks, suffix=".jpg"))
    dataset = read_dataset(write(tmp_path / "b", [coloured(lv) for lv in LV], suffix=".jpg"))
    assert "soft edges" in dataset.notes[0]
    for recording, lv in zip(dataset.recordings, LV, strict=True):
        filled = fill_polygons(recording.tracings[0].coordinates[None], SIZE)[0]
        assert dice(filled, lv) > 0.97


@pytest.mark.parametrize("values", [(1, 255), (127, 255), (50, 200), (254, 1), (85, 170)])
def test_labels_with_regions_of_their_own_are_no_soft_edges(tmp_path, values):
    with pytest.raises(DataError, match=r"p0\.png: has 2 labels"):
        read_dataset(write(tmp_path, [two(lv, *values) for lv in LV]))


def test_many_labels_with_a_void_border_are_no_soft_edges():
    mask = np.zeros((80, 80), np.uint8)
    for number in range(1, 6):
        mask[10 * number : 10 * number + 8, 10:60] = number
    mask[:, 60:62] = 255
    assert not examine(mask[None]).is_soft


def test_labels_are_compared_across_files(tmp_path):
    masks = [lv * (3 if number % 2 else 1) for number, lv in enumerate(LV)]
    with pytest.raises(
        DataError,
        match=r"1 in 2 masks \(masks/p0\.png, …\); 3 in 2 masks \(masks/p1\.png, …\)\); name them in .*dataset\.json",
    ):
        read_dataset(write(tmp_path, masks))
    (tmp_path / "dataset.json").write_text('{"labels": {"LV": 1, "RV": 3}}')
    dataset = read_dataset(tmp_path)
    assert [recording.name for recording in dataset.recordings] == ["p0", "p2"]
    assert [str(fault) for fault in dataset.faults] == [
        f"masks/p{number}.png: has no pixel of label 1, only of 3; replace or remove it" for number in (1, 3)
    ]


def test_one_mask_with_other_labels_costs_only_its_file(tmp_path):
    folder = write(tmp_path, LV)
    for number in range(4, 12):
        save_image(folder / f"images/p{number}.png", make_image(LV[0]))
        save_image(folder / f"masks/p{number}.png", two(LV[0]) if number == 9 else LV[0])
    dataset = read_dataset(folder)
    assert len(dataset.recordings) == 11
    (fault,) = dataset.faults
    assert str(fault).startswith("masks/p9.png: has 2 labels (1, 2), but 11 of 12 masks only 1; name the labels in ")


def test_a_ring_is_refused_unless_it_is_a_wall_by_name(tmp_path):
    rings = [cv2.dilate(lv, np.ones((9, 9), np.uint8)) - lv for lv in LV]
    with pytest.raises(DataError, match=r"p0\.png: [45]\d% inside its outline is left out, so it may be the wall"):
        read_dataset(write(tmp_path, rings))
    (tmp_path / "dataset.json").write_text('{"labels": {"myocardium": 1}}')
    dataset = read_dataset(tmp_path)
    check(dataset, [cv2.dilate(lv, np.ones((9, 9), np.uint8)) for lv in LV])
    assert "holes are filled in 4 masks" in dataset.notes[0]


def test_pieces_and_holes_are_told(tmp_path):
    mask = LV[0].copy()
    mask[2:5, 2:5] = 1
    mask[28:31, 35:38] = 0
    dataset = read_dataset(write(tmp_path, [mask, *LV[1:]]))
    check(dataset)
    area = LV[0].sum()
    assert dataset.recordings[0].tracings[0].pieces == pytest.approx(9 / area)
    assert dataset.recordings[0].tracings[0].holes == pytest.approx(9 / area)
    assert dataset.notes == (
        f"pieces beside the largest one are left out of 1 masks, at most {9 / area:.1%}",
        f"holes are filled in 1 masks, at most {9 / area:.1%} of the contour",
    )


@pytest.mark.parametrize("save", [palette(VOC), lambda lv: Image.fromarray(lv * 255).save])
def test_a_mask_that_is_cut_off_costs_its_file(tmp_path, save):
    folder = write(tmp_path, [save(lv) for lv in LV])
    path = folder / "masks/p0.png"
    path.write_bytes(path.read_bytes()[:-60])
    dataset = read_dataset(folder)
    assert [fault.file for fault in dataset.faults] == ["masks/p0.png"]
    assert len(dataset.recordings) == 3


def test_pages_beside_the_first_are_not_dropped(tmp_path):
    def pages(path):
        first, second = (Image.fromarray(lv) for lv in LV[:2])
        first.save(path, save_all=True, append_images=[second])

    dataset = read_dataset(write(tmp_path, [pages, *LV[1:]], suffix=".tif"))
    assert [str(fault) for fault in dataset.faults] == [
        "masks/p0.tif: has 2 pages, its image 1; give both the same number"
    ]


def write_pages(path, pages, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [Image.fromarray(page, mode) for page in pages]
    if mode == "P":
        for image in images:
            image.putpalette([value for colour in VOC for value in colour])
    images[0].save(path, save_all=True, append_images=images[1:], **options)


@pytest.mark.parametrize("kind", ["0 and 255", "palette", "red"])
@pytest.mark.parametrize("axis3", [None, "slices"])
def test_pages_of_image_and_mask_are_pairs(tmp_path, kind, axis3):
    write_pages(tmp_path / "images/p0.tif", [make_image(lv) for lv in LV])
    masks = [LV[0], 0 * LV[0], *LV[2:]]
    drawn = {"palette": masks, "red": [colours((0, 0, 0), RED)(lv) for lv in masks]}
    write_pages(
        tmp_path / "masks/p0.tif", drawn.get(kind, [lv * 255 for lv in masks]), "P" if kind == "palette" else None
    )
    store = prepare(tmp_path, size=SIZE, axis3=axis3)
    shown = [0, 2, 3] if axis3 is None else [0, 1, 2, 3]  # a slice without the ventricle is a blank
    assert store.samples["frame"].tolist() == shown
    assert store.samples["thickness"].notna().all() == (axis3 == "slices")
    np.testing.assert_array_equal(store.frames, np.stack([make_image(LV[number]) for number in shown]))
    for sample, number in enumerate(shown):
        points = store.points[store.offsets[sample] : store.offsets[sample + 1]]
        filled = fill_polygons(points[None], SIZE)[0] if len(points) else np.zeros(SIZE)
        np.testing.assert_array_equal(filled > 0, masks[number] > 0)


def test_an_animated_mask_is_refused(tmp_path):
    write_pages(tmp_path / "images/p0.tif", [make_image(lv) for lv in LV])
    write_pages(tmp_path / "masks/p0.gif", [lv * 255 for lv in LV])
    with pytest.raises(DataError, match=r"masks/p0\.gif: is an animation of 4 frames; save each as a file, or all as"):
        read_dataset(tmp_path)


def test_a_photo_that_exif_turns_is_read_as_stored(tmp_path):
    lv = np.roll(LV[0], (-8, -12), (0, 1))
    (tmp_path / "images").mkdir()
    image = Image.fromarray(make_image(lv))
    image.getexif()[274] = 3  # turned by 180°
    image.save(tmp_path / "images/p0.jpg", exif=image.getexif(), quality=95)
    save_image(tmp_path / "masks/p0.png", lv * 255)
    store = prepare(tmp_path, size=SIZE)
    inside = fill_polygons(store.points[None], SIZE)[0] > 0
    assert store.frames[0][inside].mean() < 60 < 140 < store.frames[0][~inside].mean()


# volumes


def save_volume(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values.T, np.diag([-1, -1, 8, 1])), path)


def write_volumes(folder, masks):
    for name, mask in zip("ab", masks, strict=False):
        save_volume(folder / f"{name}.nii.gz", make_image(np.stack(LV)))
        save_volume(folder / f"{name}_gt.nii.gz", mask)
    return folder


def stack_of(recording):
    return np.stack([fill_polygons(tracing.coordinates[None], SIZE)[0] for tracing in recording.tracings])


VOLUMES = {
    "0.999": (lambda lv: (lv * 0.999).astype(np.float32), "rounded in 2 masks"),
    "slope": (lambda lv: (lv * 0.9882).astype(np.float32), "rounded in 2 masks"),
    "float": (lambda lv: lv.astype(np.float32), None),
    "nan": (lambda lv: np.where(lv > 0, 1, np.nan).astype(np.float32), None),
    "int8 from 255": (lambda lv: (lv * 255).view(np.int8), None),
    "probability": (
        lambda lv: np.stack([cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 1.0) for frame in lv]),
        "soft edges: pixels above 0.5",
    ),
}


@pytest.mark.parametrize("case", VOLUMES)
def test_values_of_volumes_are_read(tmp_path, case):
    change, note = VOLUMES[case]
    dataset = read_dataset(write_volumes(tmp_path, [change(np.stack(LV))] * 2))
    assert dataset.faults == ()
    assert note is None if not dataset.notes else note in dataset.notes[0]
    for recording in dataset.recordings:
        assert dice(stack_of(recording), np.stack(LV)) >= (0.99 if case == "probability" else 1)


def test_labels_mixed_by_interpolation_cost_their_file(tmp_path):
    labels = np.stack([two(lv, 3, 1) for lv in LV])
    mixed = np.stack([cv2.GaussianBlur(frame.astype(np.float32), (3, 3), 0) for frame in labels])
    folder = write_volumes(tmp_path, [labels, mixed])
    (folder / "dataset.json").write_text('{"labels": {"LV": 3, "RV": 1}}')
    dataset = read_dataset(folder)
    assert [recording.name for recording in dataset.recordings] == ["a"]
    assert str(dataset.faults[0]) == "b_gt.nii.gz: has values between its labels; resample it by nearest neighbour"


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from("biuf"))
def test_rounding_keeps_labels(data, kind):
    labels = np.array(data.draw(st.lists(st.integers(0, 100), min_size=1, max_size=20)))
    values = labels > 0 if kind == "b" else labels.astype(kind + "4")
    rounded, is_noisy = round_values(values[None, None])
    np.testing.assert_array_equal(rounded[0, 0], values)
    assert not is_noisy
    assert set(examine(rounded).pixels) == set(np.unique(values[values != 0].astype(int)).tolist())


# rewritten by tools


REWRITES = {
    "same": lambda mask, k: mask,
    "255": lambda mask, k: np.where(mask, 255, 0).astype(np.uint8) if mask.max() < 2 else mask,
    "colours": lambda mask, k: colours((0, 0, 0), RED, GREEN)(mask),
    "colours with alpha": lambda mask, k: colours((0, 0, 0), RED, GREEN, alpha=(0, 255, 255))(mask),
    "palette": lambda mask, k: palette(VOC)(mask),
    "other palette": lambda mask, k: palette([(0, 0, 0), GREEN, RED])(mask),
    "16 bits": lambda mask, k: mask.astype(np.uint16) * 257,
    "8 bits": lambda mask, k: np.array([0, 128, 255], np.uint8)[mask],
    "swapped in odd files": lambda mask, k: np.array([0, 2, 1] if k % 2 else [0, 1, 2], np.uint8)[mask],
    "from 1": lambda mask, k: mask + 1,
    "blurred": lambda mask, k: cv2.GaussianBlur(mask * 120, (3, 3), 0),
}


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    rewrite=st.sampled_from(sorted(REWRITES)),
    has_two=st.booleans(),
    is_described=st.booleans(),
    layout=st.sampled_from(["pairs", "nnU-Net"]),
)
def test_rewritten_masks_are_the_same_or_refused_by_name(tmp_path_factory, rewrite, has_two, is_described, layout):
    folder = tmp_path_factory.mktemp("rewritten")
    labels = {"background": 0, "LV": 1, "RV": 2} if has_two else {"background": 0, "LV": 1}
    masks = [REWRITES[rewrite](two(lv) if has_two else lv, number) for number, lv in enumerate(LV)]
    write(folder, masks, labels if is_described or layout == "nnU-Net" else None)
    if layout == "nnU-Net":
        (folder / "images").rename(folder / "imagesTr")
        (folder / "masks").rename(folder / "labelsTr")
    swaps = has_two and rewrite == "swapped in odd files"
    try:
        dataset = read_dataset(folder)
    except DataError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert str(folder) in message
        assert rewrite != "same" or (has_two and not is_described)
        return
    if swaps:  # no value shows it; `check` compares sizes and places
        return
    assert {fault.file.split("/")[0] for fault in dataset.faults} <= {"masks", "labelsTr"}
    by_name = {f"p{number}": lv for number, lv in enumerate(LV)}
    for recording in dataset.recordings:
        filled = fill_polygons(recording.tracings[0].coordinates[None], SIZE)[0]
        np.testing.assert_array_equal(filled, by_name[recording.name] > 0)


def test_a_gif_that_has_dropped_unused_colours_is_read_by_the_others(tmp_path):
    grey = [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)]
    masks = [palette(grey)(two(lv, *((1, 3) if number % 2 else (1, 2)))) for number, lv in enumerate(LV)]
    labels = {"LV": 1, "MYO": 2, "RV": 3}
    folder = write(tmp_path, masks, suffix=".gif")
    with pytest.raises(DataError, match="labels"):  # not taken for the same labels in silence
        read_dataset(folder)
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    check(read_dataset(folder))
