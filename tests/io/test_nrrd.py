"""NRRD files: voxels, spacing, and the affine, as 3D Slicer, ITK and teem write them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.errors import DataError
from echoseg.io.reading import open_volume, read_clip, read_voxels

VOXELS = np.random.default_rng(0).integers(0, 2000, (5, 6, 3)).astype(np.int16)
LPS = {"space": "left-posterior-superior", "space directions": "(1,0,0) (0,2,0) (0,0,8)", "space origin": "(3,4,5)"}


def write(path: Path, voxels=VOXELS, *, encoding="raw", line="\n", data_file="", **fields: str) -> Path:
    lines = ["NRRD0004", "# by hand", "type: short", f"dimension: {voxels.ndim}", "endian: little", "name:=a: b"]
    lines += ["sizes: " + " ".join(map(str, voxels.shape)), f"encoding: {encoding}"]
    lines += [f"{key.replace('_', ' ')}: {value}" for key, value in fields.items()]
    data = voxels.astype("<i2").tobytes(order="F")
    data = gzip.compress(data) if encoding != "raw" else data
    if data_file:
        (path.parent / data_file).write_bytes(data)
        lines.append(f"data file: {data_file}")
        data = b""
    path.write_bytes(line.join([*lines, "", ""]).encode() + data)
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip", "gz"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize("data_file", ["", "a.raw"])
def test_voxels_and_geometry_are_read(tmp_path, encoding, line, data_file):
    path = write(tmp_path / "a.nrrd", encoding=encoding, line=line, data_file=data_file, **LPS)
    volume = open_volume(path)
    np.testing.assert_array_equal(read_voxels(volume), VOXELS.transpose(2, 1, 0))
    assert (volume.spacing, volume.thickness) == ((2.0, 1.0), 8.0)
    np.testing.assert_array_equal(volume.affine, [[-1, 0, 0, -3], [0, -2, 0, -4], [0, 0, 8, 5], [0, 0, 0, 1]])


@pytest.mark.parametrize(("space", "signs"), [("RAS", (1, 1)), ("LAS", (-1, 1)), ("left-posterior-superior", (-1, -1))])
def test_every_space_gives_the_same_slices(tmp_path, space, signs):
    directions = f"({-signs[0]},0,0) (0,{-2 * signs[1]},0) (0,0,8)"  # towards left and posterior
    path = write(tmp_path / "a.nrrd", space=space, **{"space directions": directions})
    np.testing.assert_array_equal(read_voxels(open_volume(path)), VOXELS.transpose(2, 1, 0))


def test_units_of_space(tmp_path):
    fields = LPS | {"space directions": "(0.1,0,0) (0,0.2,0) (0,0,0.8)", "space units": '"cm" "cm" "cm"'}
    volume = open_volume(write(tmp_path / "a.nrrd", **fields))
    assert (*volume.spacing, volume.thickness) == pytest.approx((2, 1, 8))
    np.testing.assert_allclose(volume.affine[:3, 3], (-30, -40, 5 * 10))
    assert np.isnan(open_volume(write(tmp_path / "b.nrrd", **LPS, **{"space units": '"px" "px" "px"'})).spacing).all()


def test_spacings_without_directions(tmp_path):
    volume = open_volume(write(tmp_path / "a.nrrd", spacings="1 2 8"))
    assert (volume.spacing, volume.thickness, volume.affine) == ((2.0, 1.0), 8.0, None)
    np.testing.assert_array_equal(read_voxels(volume), VOXELS.transpose(2, 1, 0))


def test_units_of_spacings(tmp_path):
    volume = open_volume(write(tmp_path / "a.nrrd", spacings="0.1 0.2 0.8", units='"cm" "cm" "cm"'))
    assert (*volume.spacing, volume.thickness) == pytest.approx((2, 1, 8))
    assert np.isnan(open_volume(write(tmp_path / "b.nrrd", spacings="1 2 8", units='"px" "px" "px"')).spacing).all()


@pytest.mark.parametrize("fields", [{"spacings": "1 2 0.02"}, {"spacings": "1 2 20", "units": '"mm" "mm" "ms"'}])
def test_an_axis_of_time_has_a_rate(tmp_path, fields):
    volume = open_volume(write(tmp_path / "a.nrrd", kinds="domain domain time", **fields))
    assert (volume.spacing, volume.fps) == ((2.0, 1.0), pytest.approx(50))


@pytest.mark.parametrize("first", [False, True])
def test_an_axis_of_time_is_one(tmp_path, first):
    frames = VOXELS.transpose(2, 0, 1) if first else VOXELS
    steps = ["none", "(1,0,0)", "(0,2,0)"] if first else ["(1,0,0)", "(0,2,0)", "none"]
    kinds = "list domain domain" if first else "domain domain list"
    path = write(tmp_path / "a.nrrd", frames, space="RAS", kinds=kinds, **{"space directions": " ".join(steps)})
    volume = open_volume(path)
    np.testing.assert_array_equal(read_voxels(volume), VOXELS.transpose(2, 1, 0))
    assert volume.spacing == (2.0, 1.0)
    assert np.isnan(volume.thickness)
    assert read_clip(path).frames.shape == (3, 6, 5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kinds": "RGB-color domain domain"}, "save it in grey"),
        ({"sizes": "5 6"}, "invalid NRRD header"),
        ({"encoding": "bzip2"}, "save it with the encoding raw or gzip"),
        ({"sizes": "50 60 30"}, "declares 180000; copy it again, or correct the header"),
        ({"data file": "../a.raw"}, "in the same folder"),
        ({"type": "block"}, "save it as numbers"),
        ({"space directions": "(1,0,0) (0,x,0) (0,0,8)"}, "invalid NRRD header"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_cure(tmp_path, fields, message):
    with pytest.raises(DataError, match=rf"a\.nrrd: .*{message}"):
        read_clip(write(tmp_path / "a.nrrd", **fields))


VALUES = st.sampled_from(
    ["", "0", "-1", "9" * 30, "nan", "none none none", "(1,0,0)", "(inf,0,0) (0,1,0) (0,0,1)", "list"]
)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    field=st.sampled_from(["sizes", "dimension", "type", "encoding", "endian", "kinds", "space", "space directions"])
    | st.sampled_from(["space origin", "spacings", "space units", "byte skip", "line skip", "data file"]),
    value=VALUES | st.text(max_size=9),
)
def test_any_value_in_a_header_gives_a_clip_or_a_data_error(tmp_path_factory, field, value):
    path = write(tmp_path_factory.mktemp("nrrd") / "a.nrrd", **(LPS | {field: value}))
    message = ""
    try:
        assert read_clip(path).frames.size
    except DataError as error:
        message = str(error)
    assert "decoder failed" not in message


def test_only_the_first_line(tmp_path):
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(DataError, match="invalid NRRD header"):
        read_clip(tmp_path / "a.nrrd")
