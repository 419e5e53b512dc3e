"""The phantom: known truth, speckle as physics has it, EchoNet's layout, and the same patients from any door."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

from echoseg.datasets.echonet import read_echonet
from echoseg.geometry.contour import contour_area, order_contour
from echoseg.io.reading import read_frames
from echoseg.phantom import acoustics, dataset, expert, motion, write_phantom, write_phantom_store
from echoseg.phantom.anatomy import LATERAL, SEPTAL, draw_heart
from echoseg.phantom.patient import FRAMES, Patient
from echoseg.phantom.view import BEAMS, DEPTHS

SEED, VIDEOS = 3, 5


@pytest.fixture(scope="module")
def patients():
    return [Patient(11, index) for index in range(24)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_phantom(tmp_path_factory.mktemp("phantom") / "one", videos=VIDEOS, seed=SEED, workers=1)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def discs(rows, per_cm=1.0):
    """Single-plane method of discs of chords (21, 4)."""
    lengths = np.hypot(rows[:, 2] - rows[:, 0], rows[:, 3] - rows[:, 1]) / per_cm
    return np.pi / 4 * np.sum(lengths[1:] ** 2) * lengths[0] / (len(rows) - 1)


def test_folder_has_echonets_layout(folder):
    listed = pd.read_csv(folder / "FileList.csv")
    assert ",".join(listed) == "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"
    assert set(listed.Split) == {"TRAIN", "VAL", "TEST"}
    assert (listed[["FrameHeight", "FrameWidth", "FPS", "NumberOfFrames"]] == [112, 112, 50, 60]).all(axis=None)
    np.testing.assert_allclose(listed.EF, 100 * (1 - listed.ESV / listed.EDV), atol=1e-3)
    traced = pd.read_csv(folder / "VolumeTracings.csv")
    assert list(traced) == ["FileName", "X1", "Y1", "X2", "Y2", "Frame"]
    assert set(traced.FileName) == {f"{name}.avi" for name in listed.FileName}
    assert (traced.groupby("FileName").Frame.nunique() == 2).all()
    assert (traced.groupby(["FileName", "Frame"]).size() == 21).all()
    for name in listed.FileName:
        capture = cv2.VideoCapture(str(folder / "Videos" / f"{name}.avi"))
        assert capture.get(cv2.CAP_PROP_FPS) == 50
        assert read_frames(folder / "Videos" / f"{name}.avi").shape == (60, 112, 112)


def test_rows_are_the_long_axis_then_chords_from_apex_to_base(folder):
    for _, frame in pd.read_csv(folder / "VolumeTracings.csv").groupby(["FileName", "Frame"], sort=False):
        rows = frame[["X1", "Y1", "X2", "Y2"]].to_numpy()
        apex, mitral = rows[0, :2], rows[0, 2:]
        assert mitral[1] > apex[1] + 15, "the apex is at the top"
        axis = mitral - apex
        starts, ends = (rows[1:, :2] - apex) @ axis / (axis @ axis), (rows[1:, 2:] - apex) @ axis / (axis @ axis)
        np.testing.assert_allclose(starts, (np.arange(20) + 0.5) / 20, atol=1e-3)
        np.testing.assert_allclose(ends, starts, atol=1e-3)
        side = np.cross(np.append(axis, 0), np.pad(rows[1:, :2] - rows[1:, 2:], ((0, 0), (0, 1))))[:, 2]
        assert (side > 0).all() or (side < 0).all(), "all first ends on one wall"


def test_our_reader_takes_it_whole(folder):
    read = read_echonet(folder)
    assert read.kind == "chords"
    assert len(read.recordings) == VIDEOS
    assert not read.faults


def test_threads_do_not_change_a_byte(folder, tmp_path):
    again = write_phantom(tmp_path / "two", videos=VIDEOS, seed=SEED, workers=2)
    assert files(again) == files(folder)


def test_seeds_and_patients_differ():
    frames = [Patient(seed, index).frame(0) for seed, index in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert len({frame.tobytes() for frame in frames}) == 4


def test_store_holds_the_same_patients(folder, tmp_path):
    store = write_phantom_store(tmp_path / "store", patients=VIDEOS, seed=SEED, workers=1)
    listed = pd.read_csv(folder / "FileList.csv").set_index("FileName")
    recordings = {recording.name: recording for recording in read_echonet(folder).recordings}
    assert len(store) == 2 * VIDEOS
    assert list(store.samples.patient[::2]) == list(listed.index)
    for i, sample in enumerate(store.samples.itertuples()):
        recording = recordings[sample.video]
        assert (sample.ef, sample.split) == (pytest.approx(recording.ef, abs=1e-5), recording.split)
        traced = {tracing.frame: tracing.coordinates for tracing in recording.tracings}
        np.testing.assert_allclose(store.contour(i), order_contour(traced[sample.frame]), atol=1e-4)
        video = read_frames(recording.path, [sample.frame])[0]
        # Both went through JPEG once, by two encoders.
        assert np.abs(store.frames[i].astype(int) - video).mean() < 3
    areas = np.array([contour_area(store.contour(i)) for i in range(len(store))])
    phase = store.samples.phase.to_numpy()
    assert (areas[phase == "ED"] > areas[phase == "ES"]).all()


def test_volumes_are_those_of_the_outline(patients):
    for patient in patients:
        for number in (patient.ed, patient.es, 0):
            state = patient.heart.state(patient.phases[number])
            septal, lateral = patient.heart.outline(state, 2001)
            discs_cm2 = np.pi / 4 * (lateral[:, 1] - septal[:, 1]) ** 2
            volume = np.sum((discs_cm2[1:] + discs_cm2[:-1]) / 2 * np.diff(septal[:, 0]))
            assert volume == pytest.approx(patient.volumes[number], rel=2e-3)


def test_ef_and_area_follow_from_the_true_outline_in_pixels(patients):
    for patient in patients:
        rng = np.random.default_rng(0)
        ed, es = (expert.trace(*patient.outline(n), rng, jitter=0) for n in (patient.ed, patient.es))
        scale_x, scale_y = np.abs(patient.view.scale)
        square = np.array([scale_x, scale_y, scale_x, scale_y])
        ed_cm, es_cm = (expert.trace(*patient.outline(n), rng, jitter=0) / square for n in (patient.ed, patient.es))
        # A stretched picture cuts its chords aslant, so a few percent are left.
        assert discs(ed_cm) == pytest.approx(patient.volumes[patient.ed], rel=0.06)
        assert 100 * (1 - discs(es_cm) / discs(ed_cm)) == pytest.approx(patient.ef, abs=3)
        assert contour_area(order_contour(ed)) > contour_area(order_contour(es))


def test_observers_pick_frames_near_the_extremes():
    late, open_valve = [], []
    for patient in (Patient(3, i) for i in range(60)):
        low, high = patient.volumes.min(), patient.volumes.max()
        late.append((high - patient.volumes[patient.ed]) / (high - low))
        late.append((patient.volumes[patient.es] - low) / (high - low))
        open_valve.append(patient.heart.cycle.opening(patient.phases[patient.ed]) > 0.3)
    assert max(late) < 0.4
    assert np.mean(late) < 0.1
    assert 0.1 < np.mean(open_valve) < 0.8


def test_population_is_echonets():
    hearts = [draw_heart(np.random.default_rng([5, i])) for i in range(1000)]
    ef, edv = np.array([(100 * (1 - heart.esv / heart.edv), heart.edv) for heart in hearts]).T
    assert ef.mean() == pytest.approx(56, abs=2)
    assert ef.std() == pytest.approx(12, abs=2)
    assert edv.mean() == pytest.approx(91, abs=8)
    assert edv.std() == pytest.approx(45, abs=12)
    assert 9.9 < ef.min() < ef.max() < 80.1


def plain(machine):
    """The machine without noise, haze, shadows and side lobes."""
    empty, even = np.zeros((DEPTHS, 1), np.float32), np.ones((DEPTHS, 1), np.float32)
    return dataclasses.replace(machine, gain=even, haze=empty, noise=empty, side_lobe=0.0)


def test_speckle_is_fully_developed_and_of_even_power(patients):
    rng = np.random.default_rng(1)
    ratios, powers = [], []
    for patient in patients[:8]:
        muscle = rng.standard_normal((DEPTHS, BEAMS, 2), dtype=np.float32)
        envelope = acoustics.echo(plain(patient.machine), muscle, rng)[10:-10, 10:-10]
        ratios.append(envelope.mean() / envelope.std())
        powers.append([np.mean(part**2) / 2 for part in np.array_split(envelope, 2)])
    assert np.mean(ratios) == pytest.approx(1.91, abs=0.03), "Rayleigh"
    np.testing.assert_allclose(np.mean(powers, axis=0), 1, atol=0.05)


def test_speckle_widens_with_depth(patients):
    rng, shallow, deep = np.random.default_rng(2), [], []
    for patient in patients[:8]:
        muscle = rng.standard_normal((DEPTHS, BEAMS, 2), dtype=np.float32)
        envelope = acoustics.echo(plain(patient.machine), muscle, rng)
        for part, kept in ((envelope[10:60], shallow), (envelope[-60:-10], deep)):
            kept.append(np.corrcoef(part[:, :-2].ravel(), part[:, 2:].ravel())[0, 1])
    assert (np.array(deep) > np.array(shallow) - 0.03).all()
    assert np.mean(deep) > np.mean(shallow) + 0.1


def test_blood_is_darker_than_muscle(patients):
    darker = []
    for patient in patients:
        septal, lateral = patient.outline(patient.ed)
        outline = np.concatenate([septal[::-1], lateral])
        cavity, muscle = np.zeros((2, 112, 112), np.uint8)
        cv2.fillPoly(cavity, [np.rint(outline).astype(np.int32)], 1)
        # Both walls, from the first third of the axis to the annulus: neither haze nor valve.
        for wall in (septal, lateral):
            cv2.polylines(muscle, [np.rint(wall[35:55]).astype(np.int32)], False, 1, 7)
        muscle[cavity > 0] = 0
        inside = cv2.erode(cavity, np.ones((9, 9), np.uint8)) > 0
        frame = patient.frame(patient.ed)
        if muscle.sum() > 20 and inside.sum() > 20:
            darker.append(frame[inside].mean() < 0.8 * frame[muscle > 0].mean())
    assert len(darker) > 15
    assert np.mean(darker) >= 0.8


def test_tissue_is_led_back_to_the_border_it_belongs_to(patients):
    for patient in patients[:6]:
        heart = patient.heart
        rest, state = motion.reference_borders(heart), heart.state(patient.phases[patient.es])
        xi = np.linspace(0.2, 0.95, 30) * state.length + state.apex
        for side, sign in ((SEPTAL, -1), (LATERAL, 1)):
            eta = sign * heart.half_width(state, side, xi)
            column, row = motion.to_reference(heart, state, rest, xi.astype(np.float32), eta.astype(np.float32))
            xi_rest, eta_rest = motion.XI_MIN + motion.PITCH * row, motion.ETA_MIN + motion.PITCH * column
            expected = sign * heart.half_width(heart.state(0.0), side, xi_rest.astype(np.float64))
            np.testing.assert_allclose(eta_rest, expected, atol=0.12)


def test_speckle_travels_with_the_heart_and_fades_slowly(patients):
    def likeness(a, b):
        return np.corrcoef(a[a + b > 0].astype(float), b[a + b > 0])[0, 1]

    near, far = [], []
    for patient in patients[:8]:
        frames = [patient.frame(number).astype(int) for number in (patient.es, (patient.es + 1) % FRAMES, patient.ed)]
        near.append(likeness(frames[0], frames[1]))
        far.append(likeness(frames[0], frames[2]))
    assert min(near) > 0.7
    assert np.mean(near) > np.mean(far) + 0.05


def test_tracings_err_as_people_do(patients):
    errors, sizes = [], []
    for patient in patients:
        for number in (patient.ed, patient.es):
            truth = order_contour(expert.trace(*patient.outline(number), np.random.default_rng(0), jitter=0))
            traced = order_contour(patient.tracing(number))
            border = truth.reshape(-1, 1, 2)
            distances = [abs(cv2.pointPolygonTest(border, tuple(map(float, point)), True)) for point in traced]
            errors.append(np.mean(distances))
            sizes.append(contour_area(traced) / contour_area(truth))
            assert traced.shape == (40, 2)
    assert 0.15 < np.mean(errors) < 1.2
    assert max(errors) < 3
    assert np.mean(sizes) == pytest.approx(1, abs=0.05)
    assert np.std(sizes) < 0.12


@pytest.mark.parametrize(
    "write", [lambda out: write_phantom(out, videos=3), lambda out: write_phantom_store(out, patients=3)]
)
def test_what_exists_stays(write, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(FileExistsError, match="out: exists already"):
        write(tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]


def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch):
    def fail(folder, seed, index):
        if index == 1:
            raise OSError("disk full")
        return write(folder, seed, index)

    write = dataset._write_video
    monkeypatch.setattr(dataset, "_write_video", fail)
    with pytest.raises(OSError, match="disk full"):
        write_phantom(tmp_path / "out", videos=2, workers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"videos": 0}, {"videos": 1, "seed": -1}, {"videos": 1, "workers": 0}])
def test_impossible_wishes_are_refused(wrong, tmp_path):
    with pytest.raises(ValueError, match="expected"):
        write_phantom(tmp_path / "out", **wrong)
    assert not list(tmp_path.iterdir())
