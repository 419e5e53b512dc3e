"""The phantom: known volumes, speckle statistics, the format of EchoNet-Dynamic, and reproducibility."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.store import open_store, prepare
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area, order_contour
from echoseg.io.reading import read_frames
from echoseg.phantom import acoustics, dataset, expert, motion, write_phantom, write_phantom_store
from echoseg.phantom.anatomy import LATERAL, SEPTAL, draw_heart
from echoseg.phantom.cached import cached_phantom
from echoseg.phantom.patient import FRAMES, Patient
from echoseg.phantom.view import BEAMS, DEPTHS

SEED, VIDEOS = 3, 3


@pytest.fixture(scope="module")
def patients():
    return [Patient(11, index) for index in range(24)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_phantom(tmp_path_factory.mktemp("phantom") / "one", videos=VIDEOS, seed=SEED, workers=1)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def disc_volume(rows):
    """The single-plane method of discs for chords (21, 4)."""
    lengths = np.hypot(rows[:, 2] - rows[:, 0], rows[:, 3] - rows[:, 1])
    return np.pi / 4 * np.sum(lengths[1:] ** 2) * lengths[0] / (len(rows) - 1)


def test_the_folder_has_the_format_of_echonet_dynamic(folder):
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
        assert mitral[1] > apex[1] + 15, "the apex is not at the top"
        axis = mitral - apex
        starts, ends = (rows[1:, :2] - apex) @ axis / (axis @ axis), (rows[1:, 2:] - apex) @ axis / (axis @ axis)
        np.testing.assert_allclose(starts, (np.arange(20) + 0.5) / 20, atol=1e-3)
        np.testing.assert_allclose(ends, starts, atol=1e-3)
        side = np.cross(np.append(axis, 0), np.pad(rows[1:, :2] - rows[1:, 2:], ((0, 0), (0, 1))))[:, 2]
        assert (side > 0).all() or (side < 0).all(), "first ends are on both walls"


@pytest.mark.slow
def test_the_reader_accepts_the_folder_without_faults(folder):
    read = read_echonet(folder)
    assert read.kind == "chords"
    assert len(read.recordings) == VIDEOS
    assert not read.faults


@pytest.mark.slow
def test_exact_tracings_are_of_every_frame(tmp_path):
    read = read_echonet(write_phantom(tmp_path / "exact", videos=1, seed=SEED, exact=True))
    assert not read.faults
    (recording,), patient = read.recordings, Patient(SEED, 0)
    assert [tracing.frame for tracing in recording.tracings] == list(range(FRAMES))
    for tracing in recording.tracings:
        np.testing.assert_allclose(tracing.coordinates, patient.exact_tracing(tracing.frame), atol=1e-4)


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_the_files(folder, tmp_path):
    other = write_phantom(tmp_path / "two", videos=VIDEOS, seed=SEED, workers=2)
    assert files(other) == files(folder)


def test_different_seeds_and_patients_give_different_frames():
    frames = [Patient(seed, index).frame(0) for seed, index in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert len({frame.tobytes() for frame in frames}) == 4


def test_the_store_contains_the_same_patients(folder, tmp_path):
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
        # both were compressed once, by different encoders
        assert np.abs(store.frames[i].astype(int) - video).mean() < 3
    areas = np.array([contour_area(store.contour(i)) for i in range(len(store))])
    phase = store.samples.phase.to_numpy()
    assert (areas[phase == "ED"] > areas[phase == "ES"]).all()


def test_the_store_has_the_size_and_the_ordering_that_are_asked_for(folder, tmp_path):
    store = write_phantom_store(tmp_path / "store", patients=VIDEOS, seed=SEED, size=(128, 96), ordering="nearest")
    expected = prepare(folder, tmp_path / "prepared", size=(128, 96), ordering="nearest")
    assert (store.size, store.manifest["ordering"]) == ((128, 96), "nearest")
    for i in range(len(store)):
        np.testing.assert_allclose(store.contour(i), expected.contour(i), atol=1e-4)
    assert np.abs(store.frames.astype(int) - expected.frames).mean() < 3  # compressed by different encoders
    with pytest.raises(DataError, match="needs points"):
        write_phantom_store(tmp_path / "other", patients=1, ordering="given")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_training_patients_have_exact_frames_of_any_phase(tmp_path):
    store = write_phantom_store(tmp_path / "store", patients=6, seed=SEED, frames=4, workers=1)
    traced = write_phantom_store(tmp_path / "traced", patients=6, seed=SEED, workers=1)
    training = store.samples.split == "TRAIN"
    assert store.samples[training].groupby("patient").frame.nunique().tolist() == [4] * 4
    assert (store.samples.phase[training] == "").all()
    for i in np.flatnonzero(training):
        septal, lateral = Patient(SEED, int(store.samples.patient[i][-6:])).endocardium(store.samples.frame[i])
        # the chords begin and end at 1/40 of the axis from the apex and the annulus
        exact = np.concatenate([septal, lateral[::-1]])
        border = exact[:, None].astype(np.float32)
        distances = [cv2.pointPolygonTest(border, point.tolist(), True) for point in store.contour(i)]
        assert np.abs(distances).max() < 0.1
        assert contour_area(store.contour(i)) == pytest.approx(contour_area(exact), rel=0.05)
    np.testing.assert_array_equal(store.frames[~training], traced.frames[traced.samples.split != "TRAIN"])
    assert sorted(store.samples.phase[~training]) == ["ED", "ED", "ES", "ES"]
    for wrong in (0, 61):
        with pytest.raises(ValueError, match="expected 1 to 60"):
            write_phantom_store(tmp_path / "other", patients=1, frames=wrong)


@pytest.mark.slow
def test_a_cached_phantom_is_made_for_each_size_and_ordering():
    path = cached_phantom(2)
    assert cached_phantom(2, size=(112, 112)) == path
    other = cached_phantom(2, size=(64, 64), ordering="angle")
    assert other != path
    assert open_store(other).size == (64, 64)


def test_volumes_equal_those_of_the_endocardium(patients):
    for patient in patients:
        for number in (patient.ed, patient.es, 0):
            state = patient.heart.state(patient.phases[number])
            septal, lateral = patient.heart.endocardium(state, 2001)
            discs_cm2 = np.pi / 4 * (lateral[:, 1] - septal[:, 1]) ** 2
            volume = np.sum((discs_cm2[1:] + discs_cm2[:-1]) / 2 * np.diff(septal[:, 0]))
            assert volume == pytest.approx(patient.volumes[number], rel=2e-3)


def test_ef_and_area_follow_from_tracings_without_errors(patients):
    for patient in patients:
        rng = np.random.default_rng(0)
        ed, es = (expert.trace(*patient.endocardium(n), rng, jitter=0) for n in (patient.ed, patient.es))
        scale_x, scale_y = np.abs(patient.view.scale)
        pixels_per_cm = np.array([scale_x, scale_y, scale_x, scale_y])
        ed_cm, es_cm = ed / pixels_per_cm, es / pixels_per_cm
        # in a stretched image chords are not perpendicular to the axis, hence the tolerance
        assert disc_volume(ed_cm) == pytest.approx(patient.volumes[patient.ed], rel=0.06)
        assert 100 * (1 - disc_volume(es_cm) / disc_volume(ed_cm)) == pytest.approx(patient.ef, abs=3)
        assert contour_area(order_contour(ed)) > contour_area(order_contour(es))


@pytest.mark.slow
def test_traced_frames_are_near_the_extremes():
    differences, open_valve = [], []
    for patient in (Patient(3, i) for i in range(60)):
        low, high = patient.volumes.min(), patient.volumes.max()
        differences.append((high - patient.volumes[patient.ed]) / (high - low))
        differences.append((patient.volumes[patient.es] - low) / (high - low))
        open_valve.append(patient.heart.cycle.opening(patient.phases[patient.ed]) > 0.3)
    assert max(differences) < 0.4
    assert np.mean(differences) < 0.1
    assert 0.1 < np.mean(open_valve) < 0.8


def test_ef_and_edv_have_the_distribution_of_echonet_dynamic():
    hearts = [draw_heart(np.random.default_rng([5, i])) for i in range(1000)]
    ef, edv = np.array([(100 * (1 - heart.esv / heart.edv), heart.edv) for heart in hearts]).T
    assert ef.mean() == pytest.approx(56, abs=2)
    assert ef.std() == pytest.approx(12, abs=2)
    assert edv.mean() == pytest.approx(91, abs=8)
    assert edv.std() == pytest.approx(45, abs=12)
    assert 9.9 < ef.min() < ef.max() < 80.1


def without_artefacts(machine):
    """The machine without noise, haze, shadows and side lobes."""
    zeros, ones = np.zeros((DEPTHS, 1), np.float32), np.ones((DEPTHS, 1), np.float32)
    return dataclasses.replace(machine, gain=ones, haze=zeros, noise=zeros, side_lobe=0.0)


def test_speckle_is_fully_developed_and_has_constant_power(patients):
    rng = np.random.default_rng(1)
    ratios, powers = [], []
    for patient in patients[:8]:
        muscle = rng.standard_normal((DEPTHS, BEAMS, 2), dtype=np.float32)
        envelope = acoustics.echo(without_artefacts(patient.machine), muscle, rng)[10:-10, 10:-10]
        ratios.append(envelope.mean() / envelope.std())
        powers.append([np.mean(part**2) / 2 for part in np.array_split(envelope, 2)])
    assert np.mean(ratios) == pytest.approx(1.91, abs=0.03), "not a Rayleigh distribution"
    np.testing.assert_allclose(np.mean(powers, axis=0), 1, atol=0.05)


def test_speckle_is_wider_at_depth(patients):
    rng, shallow, deep = np.random.default_rng(2), [], []
    for patient in patients[:8]:
        muscle = rng.standard_normal((DEPTHS, BEAMS, 2), dtype=np.float32)
        envelope = acoustics.echo(without_artefacts(patient.machine), muscle, rng)
        for part, correlations in ((envelope[10:60], shallow), (envelope[-60:-10], deep)):
            correlations.append(np.corrcoef(part[:, :-2].ravel(), part[:, 2:].ravel())[0, 1])
    assert (np.array(deep) > np.array(shallow) - 0.03).all()
    assert np.mean(deep) > np.mean(shallow) + 0.1


def test_blood_is_darker_than_myocardium(patients):
    darker = []
    for patient in patients:
        septal, lateral = patient.endocardium(patient.ed)
        contour = np.concatenate([septal[::-1], lateral])
        cavity, myocardium = np.zeros((2, 112, 112), np.uint8)
        cv2.fillPoly(cavity, [np.rint(contour).astype(np.int32)], 1)
        # both walls from the first third of the axis to the annulus, which excludes haze and valve
        for wall in (septal, lateral):
            cv2.polylines(myocardium, [np.rint(wall[35:55]).astype(np.int32)], False, 1, 7)
        myocardium[cavity > 0] = 0
        inside = cv2.erode(cavity, np.ones((9, 9), np.uint8)) > 0
        frame = patient.frame(patient.ed)
        if myocardium.sum() > 20 and inside.sum() > 20:
            darker.append(frame[inside].mean() < 0.8 * frame[myocardium > 0].mean())
    assert len(darker) > 15
    assert np.mean(darker) >= 0.8


def test_the_endocardium_is_mapped_to_the_endocardium_at_end_diastole(patients):
    for patient in patients[:6]:
        heart = patient.heart
        reference, state = motion.reference_borders(heart), heart.state(patient.phases[patient.es])
        xi = np.linspace(0.2, 0.95, 30) * state.length + state.apex
        for side, sign in ((SEPTAL, -1), (LATERAL, 1)):
            eta = sign * heart.half_width(state, side, xi)
            column, row = motion.to_reference(heart, state, reference, xi.astype(np.float32), eta.astype(np.float32))
            mapped_xi, mapped_eta = motion.XI_MIN + motion.PITCH * row, motion.ETA_MIN + motion.PITCH * column
            expected = sign * heart.half_width(heart.state(0.0), side, mapped_xi.astype(np.float64))
            np.testing.assert_allclose(mapped_eta, expected, atol=0.12)


def test_consecutive_frames_are_more_similar_than_distant_ones(patients):
    def correlation(a, b):
        return np.corrcoef(a[a + b > 0].astype(float), b[a + b > 0])[0, 1]

    consecutive, distant = [], []
    for patient in patients[:8]:
        frames = [patient.frame(number).astype(int) for number in (patient.es, (patient.es + 1) % FRAMES, patient.ed)]
        consecutive.append(correlation(frames[0], frames[1]))
        distant.append(correlation(frames[0], frames[2]))
    assert min(consecutive) > 0.7
    assert np.mean(consecutive) > np.mean(distant) + 0.05


def test_errors_of_tracings_have_a_realistic_size(patients):
    errors, sizes = [], []
    for patient in patients:
        for number in (patient.ed, patient.es):
            true = order_contour(expert.trace(*patient.endocardium(number), np.random.default_rng(0), jitter=0))
            traced = order_contour(patient.tracing(number))
            border = true.reshape(-1, 1, 2)
            distances = [abs(cv2.pointPolygonTest(border, tuple(map(float, point)), True)) for point in traced]
            errors.append(np.mean(distances))
            sizes.append(contour_area(traced) / contour_area(true))
            assert traced.shape == (40, 2)
    assert 0.15 < np.mean(errors) < 1.2
    assert max(errors) < 3
    assert np.mean(sizes) == pytest.approx(1, abs=0.05)
    assert np.std(sizes) < 0.12


@pytest.mark.parametrize(
    "write", [lambda out: write_phantom(out, videos=3), lambda out: write_phantom_store(out, patients=3)]
)
def test_an_existing_folder_is_not_changed(write, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("text")
    with pytest.raises(FileExistsError, match="out: exists already"):
        write(tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "file"]


def test_a_failure_leaves_no_files(tmp_path, monkeypatch):
    def fail(folder, seed, exact, index):
        if index == 1:
            raise OSError("disk full")
        return write(folder, seed, exact, index)

    write = dataset._write_video
    monkeypatch.setattr(dataset, "_write_video", fail)
    with pytest.raises(OSError, match="disk full"):
        write_phantom(tmp_path / "out", videos=2, workers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"videos": 0}, {"videos": 1, "seed": -1}, {"videos": 1, "workers": 0}])
def test_invalid_arguments_are_refused(wrong, tmp_path):
    with pytest.raises(ValueError, match="expected"):
        write_phantom(tmp_path / "out", **wrong)
    assert not list(tmp_path.iterdir())
