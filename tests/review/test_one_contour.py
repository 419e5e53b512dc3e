"""`predict`, the Python API and the review page compute exactly the same volumes and EF, also after a drag."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.examples import get_path

pytest.importorskip("fastapi")
pytest.importorskip("starlette.testclient")
from starlette.testclient import TestClient

import echoseg
from echoseg.inference.predictor import Prediction
from echoseg.phantom import write_phantom
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import Handles
from echoseg.review.learning import Learning
from echoseg.review.server import make_app
from echoseg.review.sources import find_review_clips

TINY = {
    "size": (48, 48),
    "width": 8,
    "depth": 3,
    "epochs": 40,
    "batch_size": 4,
    "device": "cpu",
    "precision": "float32",
}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    return write_phantom(tmp_path_factory.mktemp("phantoms") / "data", videos=10, seed=0)


@pytest.fixture(scope="module", params=["landmark", "mask"])
def run(request, phantoms):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHOSEG_CACHE", str(phantoms.parent / "cache"))
        return echoseg.train(phantoms, approach=request.param, out=phantoms.parent / request.param, **TINY)


def means(volumes: np.ndarray, beats: np.ndarray) -> tuple[float, float, float]:
    """EDV, ESV and EF, as the page computes them from the server's response."""
    edv, esv = volumes[beats[:, 0]], volumes[beats[:, 1]]
    return edv.mean(), esv.mean(), (100 * (edv - esv) / edv).mean()


def drag(loaded, frame: int) -> Handles:
    handles = loaded.handles[frame]
    points, pinned = handles.points.copy(), handles.pinned.copy()
    points[1] += (2.5, -1.25)
    pinned[1] = True
    return Handles(points, handles.landmarks, pinned)


@pytest.mark.slow
def test_page_and_predict_give_the_same_volumes(run, phantoms, tmp_path):
    cine = get_path("ybr_color")
    inputs = [phantoms, cine]
    table = echoseg.predict_files(run, inputs, tmp_path / "out", keep=[], device="cpu").set_index("path")
    predictor = echoseg.load(run, device="cpu")
    review_clips = [review_clip for path in inputs for review_clip in find_review_clips([path], None)[0]]
    clips = Clips(predictor, review_clips)
    corrections = CorrectionsFolder(tmp_path / "corrections", clips.drawing, kind="points")
    with_beats = 0
    learning = Learning(clips, corrections, run=None, device="cpu")
    with TestClient(make_app(clips, corrections, learning)) as client:
        for number, review_clip in enumerate(review_clips):
            page = client.get(f"/api/clips/{number}").json()
            row, beats = table.loc[str(review_clip.path)], np.array(page["beats"], dtype=int).reshape(-1, 2)
            assert row["beats"] == len(beats)
            if not len(beats):
                continue
            with_beats += 1
            assert means(np.array(page["volumes"]), beats) == (row["edv"], row["esv"], row["ef"])

            loaded, frame = clips.open(number), int(beats[0, 0])
            handles = drag(loaded, frame)
            change = {
                "version": 0,
                "points": {
                    "points": handles.points.tolist(),
                    "landmarks": handles.landmarks.tolist(),
                    "pinned": handles.pinned.tolist(),
                },
                "seconds": 1.0,
                "drags": 1,
            }
            response = client.post(f"/api/clips/{number}/frames/{frame}", json=change).json()
            corrected = with_contour(loaded.prediction, frame, predictor.codec.join(handles.points), handles, clips)
            expected = echoseg.measure(corrected, loaded.clip, beats=beats)
            assert response["volume"] == expected.volumes[frame]
            volumes = np.array(page["volumes"])
            volumes[frame] = response["volume"]
            ef = means(volumes, beats)[2]
            assert ef == expected.mean_ef != row["ef"]
            assert response["area"] == corrected.areas[frame]
    corrections.close()
    assert with_beats >= 8


def with_contour(prediction: Prediction, frame: int, contour: np.ndarray, handles: Handles, clips: Clips) -> Prediction:
    contours = [*prediction.contours[:frame], contour, *prediction.contours[frame + 1 :]]
    axes = None
    if prediction.axes is not None:
        axes = prediction.axes.copy()
        axes[frame] = clips.drawing.axis(handles)
    return Prediction(contours, prediction.pieces, prediction.probabilities, axes=axes)
