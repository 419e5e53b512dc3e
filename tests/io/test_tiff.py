"""What a TIFF says about its pages: slices, time points or channels, and their spacing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import tifffile

from echoseg.errors import DataError
from echoseg.io.reading import axis3_taken_for, read_clip
from echoseg.io.tiff import PageAxes, count_pages, read_page_axes

PAGES = np.random.default_rng(0).integers(0, 256, (6, 20, 30), dtype=np.uint8)
NAN = math.nan


def save(path, pages=PAGES, **options):
    tifffile.imwrite(path, pages, photometric="minisblack", **options)
    return path


OME_MM = {f"PhysicalSize{axis}Unit": "mm" for axis in "XYZ"}
CASES = {
    "slices of ImageJ": (
        {"imagej": True, "resolution": (1 / 1.5, 1 / 1.25), "metadata": {"axes": "ZYX", "spacing": 8, "unit": "mm"}},
        (1, 6, (1.25, 1.5), 8, NAN),
    ),
    "slices of ImageJ in cm": (
        {"imagej": True, "resolution": (1 / 0.15, 8), "metadata": {"axes": "ZYX", "spacing": 0.8, "unit": "cm"}},
        (1, 6, (1.25, 1.5), 8, NAN),
    ),
    "frames of ImageJ": (
        {"imagej": True, "metadata": {"axes": "TYX", "finterval": 0.04}},
        (1, 1, (NAN, NAN), NAN, 25),
    ),
    "frames of ImageJ in milliseconds": (
        {"imagej": True, "metadata": {"axes": "TYX", "finterval": 20, "tunit": "msec"}},
        (1, 1, (NAN, NAN), NAN, 50),
    ),
    "frames of ImageJ in an unknown unit": (
        {"imagej": True, "metadata": {"axes": "TYX", "finterval": 20, "tunit": "frames"}},
        (1, 1, (NAN, NAN), NAN, NAN),
    ),
    "a film of ImageJ in an unknown unit": (
        {"description": "ImageJ=1.54f\nimages=6\nframes=6\nfps=30\ntunit=frames\n", "metadata": None},
        (1, 1, (NAN, NAN), NAN, 30),
    ),
    "slices of OME": (
        {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 1500, "PhysicalSizeY": 1250, "PhysicalSizeZ": 8000}},
        (1, 6, (1.25, 1.5), 8, NAN),
    ),
    "slices of OME in mm": (
        {
            "ome": True,
            "metadata": {"axes": "ZYX", "PhysicalSizeX": 1.5, "PhysicalSizeY": 1.25, "PhysicalSizeZ": 8, **OME_MM},
        },
        (1, 6, (1.25, 1.5), 8, NAN),
    ),
    "frames of OME": ({"ome": True, "metadata": {"axes": "TYX", "TimeIncrement": 0.04}}, (1, 1, (NAN, NAN), NAN, 25)),
    "slices of tifffile": ({"metadata": {"axes": "ZYX"}}, (1, 6, (NAN, NAN), 1, NAN)),
    "frames of tifffile": ({"metadata": {"axes": "TYX"}}, (1, 1, (NAN, NAN), NAN, NAN)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_pages_are_what_the_description_says(tmp_path, case):
    options, (time_points, slices, spacing, thickness, fps) = CASES[case]
    clip = read_clip(save(tmp_path / "a.tif", **options))
    np.testing.assert_array_equal(clip.frames, PAGES)
    assert clip.time_points == time_points
    assert math.isnan(clip.thickness) == (slices == 1)
    np.testing.assert_allclose((*clip.spacing, clip.thickness, clip.fps), (*spacing, thickness, fps))
    is_guessed = case == "slices of tifffile"
    assert clip.note == ("its slices are taken to be 1 mm apart" if is_guessed else "")


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
def test_slices_over_time(tmp_path, options):
    pages = PAGES.reshape(3, 2, 20, 30)
    clip = read_clip(save(tmp_path / "a.tif", pages, **options, metadata={"axes": "TZYX"}))
    assert (clip.time_points, clip.thickness) == (3, 1)
    np.testing.assert_array_equal(clip.frames, PAGES)


def test_the_pages_of_a_film_that_imagej_has_imported_are_time_points(tmp_path):
    description = "ImageJ=1.54f\nimages=6\nslices=6\nfps=25.0\nloop=false\nmin=0.0\nmax=255.0\n"
    clip = read_clip(save(tmp_path / "a.tif", description=description, metadata=None))
    assert (math.isnan(clip.thickness), clip.fps) == (True, 25)
    assert "its 6 pages are taken for time points" in clip.note


@pytest.mark.parametrize("options", [{"metadata": None}, {"description": "{broken", "metadata": None}])
def test_without_a_description_the_user_can_say_it(tmp_path, options):
    path = save(tmp_path / "a.tif", **options)
    clip = read_clip(path)
    assert math.isnan(clip.thickness)
    assert 'to overrule this, use --axis3 slices or "axis3" in dataset.json' in clip.note
    with axis3_taken_for("slices"):
        assert (read_clip(path).thickness, read_clip(path).note) == (1, "its slices are taken to be 1 mm apart")
    assert (math.isnan(read_clip(path, axis3="time").thickness), read_clip(path, axis3="time").note) == (True, "")
    (tmp_path / "dataset.json").write_text(json.dumps({"axis3": "slices"}))
    assert read_clip(path).thickness == 1


def test_the_user_overrules_the_description(tmp_path):
    path = save(tmp_path / "a.tif", imagej=True, metadata={"axes": "ZYX", "spacing": 8, "unit": "mm"})
    assert math.isnan(read_clip(path, axis3="time").thickness)


def test_channels_and_time_before_slices_are_refused(tmp_path):
    path = save(tmp_path / "a.tif", PAGES.reshape(3, 2, 20, 30), imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(DataError, match=r"a\.tif: its 6 pages are 2 channels of each image; save one channel"):
        read_clip(path)
    path = save(tmp_path / "b.tif", PAGES.reshape(3, 2, 20, 30), metadata={"axes": "ZTYX"})
    with pytest.raises(DataError, match=r"b\.tif: its pages are all time points of each slice in turn"):
        read_clip(path)


def test_a_stack_of_imagej_without_the_index_of_its_pages_is_refused(tmp_path):  # TIFFStack, issue 7
    path = save(tmp_path / "a.tif", imagej=True, metadata={"axes": "ZYX", "spacing": 8, "unit": "mm"})
    content = bytearray(path.read_bytes())
    order = "big" if content.startswith(b"MM") else "little"
    first = int.from_bytes(content[4:8], order)
    end = first + 2 + 12 * int.from_bytes(content[first : first + 2], order)
    content[end : end + 4] = bytes(4)  # no further page
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tif: has 1 of the 6 images that it declares, as ImageJ writes"):
        read_clip(path)


@pytest.mark.parametrize("kind", ["tiled", "32 bits"])
def test_kinds_that_pillow_reads(tmp_path, kind):
    pages = PAGES.astype(np.uint32) * 1000 if kind == "32 bits" else PAGES
    path = save(tmp_path / "a.tif", pages, tile=(16, 16) if kind == "tiled" else None, metadata={"axes": "TYX"})
    clip = read_clip(path)
    np.testing.assert_allclose(clip.frames.astype(int), PAGES, atol=3)  # 32 bits: with a window of percentiles


def test_one_page_has_its_spacing(tmp_path):
    metadata = {"axes": "YX", "unit": "mm"}
    path = save(tmp_path / "a.tif", PAGES[0], imagej=True, resolution=(1 / 1.5, 1 / 1.25), metadata=metadata)
    clip = read_clip(path)
    assert clip.spacing == pytest.approx((1.25, 1.5))
    assert (clip.note, math.isnan(clip.thickness)) == ("", True)


@pytest.mark.parametrize(
    "text",
    [
        "ImageJ=1\nslices=many",
        "ImageJ=1\nslices=0\nframes=0",
        "ImageJ=1\nslices=-2\nframes=-3",
        "<OME><Pixels SizeZ='6'/>",
        '<OME><Pixels SizeZ="x"/>',
        '{"axes": "ZYX"}',
        '{"axes": 3, "shape": [1]}',
        "[]",
    ],
)
def test_a_description_that_cannot_be_read_says_nothing(tmp_path, text):
    path = save(tmp_path / "a.tif", description=text, metadata=None)
    assert math.isnan(read_clip(path).thickness)
    assert "are taken for time points" in read_clip(path).note


def test_what_is_no_tiff_says_nothing():
    assert repr(read_page_axes(b"II*\0")) == repr(PageAxes())


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_pages_that_are_missing_are_not_ignored(tmp_path, bigtiff, byteorder):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as writer:
        for page in PAGES:
            writer.write(page, photometric="minisblack", contiguous=False)
    content = path.read_bytes()
    assert len(read_clip(path).frames) == count_pages(content) == 6
    for share in (0.3, 0.6, 0.95, 0.995):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(DataError, match=r"a\.tif: .*(missing or damaged|is damaged)"):
            read_clip(path)
