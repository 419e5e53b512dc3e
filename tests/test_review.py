"""The review page's server: who is let in, what is kept, and that nothing else is touched."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from _folders import ellipse_chords, set_cell, write_folder
from _reviewing import CODEC, outlines, reviewed
from echoseg.assess.calibration import Calibration
from echoseg.cli import main
from echoseg.data.echonet import read_echonet
from echoseg.data.store import prepare
from echoseg.errors import DataError
from echoseg.geometry.chords import cut_chords
from echoseg.geometry.contour import order_contour
from echoseg.models.codec import MaskCodec
from echoseg.ops import fill_polygons
from echoseg.review import clips
from echoseg.review import corrections as module
from echoseg.review.clips import find_sources, next_to_look_at
from echoseg.review.corrections import Corrections, OutdatedError
from echoseg.review.handles import ADDED, Handles, drawing_of
from echoseg.training.checkpoint import build, save_weights
from echoseg.training.config import Config

DRAWING = drawing_of(CODEC)
EFFORT = {"seconds": 1.5, "drags": 1}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with reviewed(tmp_path_factory.mktemp("review")) as served:
        yield served


@pytest.fixture(scope="module")
def cookie(page):
    """The session's, as a browser gets it from the link."""
    status, headers, _ = ask(page.port, "GET", page.links[0].split(str(page.port))[1])
    assert status == 200
    assert re.search("HttpOnly; SameSite=Strict$", headers["set-cookie"])
    return headers["set-cookie"].split(";")[0]


def ask(port, method, path, *, body=None, **headers):
    """Status, headers and body of one request; a header named by None is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    sent = {"Host": f"127.0.0.1:{port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def change(page, cookie, frame, points, *, version=0, clip=0, **other):
    body = json.dumps({"version": version, "points": points, "seconds": 1.5, "drags": 1, **other}).encode()
    headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{page.port}", "Content_Type": "application/json"}
    status, _, answer = ask(page.port, "POST", f"/api/clips/{clip}/frames/{frame}", body=body, **headers)
    return status, json.loads(answer)


def points_of(frame, *, moved=(0.0, 0.0), landmarks=(0, 1, 2, 3, 4)):
    points = outlines(8)[frame].astype(float) + (np.arange(5) == 1)[:, None] * moved
    return {"points": points.tolist(), "landmarks": list(landmarks), "held": [False] * 5}


# ---- who is let in


@pytest.mark.parametrize("host", [None, "", "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]"])
def test_another_host_is_refused(page, cookie, host):
    host = host and host.format(port=page.port)
    for path in ("/", "/api/clips", page.links[-1].split(str(page.port))[1]):
        assert ask(page.port, "GET", path, Host=host, Cookie=cookie)[0] in (400, 403)


def test_two_hosts_are_refused(page, cookie):
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as raw:
        hosts = f"Host: 127.0.0.1:{page.port}\r\nHost: evil.example\r\n"
        raw.sendall(f"GET / HTTP/1.1\r\n{hosts}Cookie: {cookie}\r\n\r\n".encode())
        assert raw.recv(100).split()[1] in (b"400", b"403")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"])
def test_another_origin_is_refused(page, cookie, origin):
    origin = origin.format(port=page.port)
    for method, path in (("GET", "/api/clips"), ("POST", "/api/clips/0/frames/0")):
        status, headers, _ = ask(page.port, method, path, body=b"{}", Cookie=cookie, Origin=origin)
        assert status == 403
        assert not [name for name in headers if name.startswith("access-control")]


def test_a_refusal_is_heard_whatever_was_sent_with_it(page, cookie):
    # a connection that is closed over unread bytes is reset, and the answer with it
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as raw:
        head = f"POST /api/clips/0/frames/0 HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nContent-Length: 200000\r\n\r\n"
        raw.sendall(head.encode())
        for _ in range(20):
            raw.sendall(bytes(10000))
            time.sleep(0.001)
        answer = b""
        while piece := raw.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"another page" in answer


def test_a_change_needs_an_origin_and_json(page, cookie):
    own = f"http://127.0.0.1:{page.port}"
    path = "/api/clips/0/frames/0"
    json_type = {"Content_Type": "application/json"}
    assert ask(page.port, "POST", path, body=b"{}", Cookie=cookie, **json_type)[0] == 403
    assert ask(page.port, "POST", path, body=b"{}", Cookie=cookie, Origin=own, Content_Type="text/plain")[0] == 415
    assert ask(page.port, "POST", path, body=b"{}", Cookie=cookie, Origin=own, **json_type)[0] == 422


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_changes_come_by_post_only(page, cookie, method):
    assert ask(page.port, method, "/api/clips/0/frames/0", Cookie=cookie)[0] == 405


@pytest.mark.parametrize("given_cookie", [None, "echoseg-{port}=", "echoseg-{port}=guess", "other=1", "\x01;=;", "é"])
def test_no_token_no_page(page, given_cookie):
    header = given_cookie and given_cookie.format(port=page.port)
    for path in ("/", "/static/main.js", "/api/clips", "/api/clips/0/frames?start=0&stop=1", "/nothing"):
        status, _, body = ask(page.port, "GET", path, Cookie=header)
        assert status == 403
        assert b"link" in body


def test_a_link_opens_the_page_once(page, cookie):
    assert ask(page.port, "GET", page.links[0].split(str(page.port))[1])[0] == 403, "used by the fixture"
    assert ask(page.port, "GET", "/enter?token=guess")[0] == 403
    assert ask(page.port, "GET", "/enter")[0] == 403
    assert len(set(page.links)) == len(page.links)
    assert ask(page.port, "GET", "/", Cookie=f"a=b; {cookie}")[0] == 200


def test_every_answer_forbids_foreign_code(page, cookie):
    for path, header in (
        ("/", cookie),
        ("/", None),
        ("/static/main.js", cookie),
        ("/api/clips", cookie),
        ("/no", cookie),
    ):
        headers = ask(page.port, "GET", path, Cookie=header)[1]
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_the_page_fetches_nothing_from_outside():
    for path in (Path(module.__file__).parent / "static").iterdir():
        found = set(re.findall(r"""(?:https?:)?//[\w.-]+\.\w+[^\s"')]*""", path.read_text(encoding="utf-8")))
        assert found <= {"http://www.w3.org/2000/svg"}, path.name


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "/static/..%5cserver.py",
        "/api/clips/..",
        "/api/clips/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/api/clips/../../../../etc/passwd",
        "/api/clips/0/frames/../../1",
        "/api/clips/-1",
        "/api/clips/3",
        "/api/clips/0%00",
        "/api/clips/0/frames/8/probabilities",
        "/api/clips/0/frames?start=8&stop=9",
        "/api/clips/0/frames?start=-1&stop=9",
    ],
)
def test_ids_are_no_paths(page, cookie, path):
    status, _, body = ask(page.port, "GET", path, Cookie=cookie)
    assert status in (404, 422)
    assert b"import" not in body
    assert b"root:" not in body


def test_a_gigabyte_is_refused_unread(page, cookie):
    head = (
        f"POST /api/clips/0/frames/0 HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nOrigin: http://127.0.0.1:{page.port}\r\n"
        f"Cookie: {cookie}\r\nContent-Type: application/json\r\n"
    )
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as raw:
        raw.sendall(f"{head}Content-Length: {1 << 30}\r\n\r\n".encode())
        assert raw.recv(100).split()[1] == b"413", "told at once, not after the body"


def test_an_endless_body_is_cut(page, cookie):
    head = (
        f"POST /api/clips/0/frames/0 HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nOrigin: http://127.0.0.1:{page.port}\r\n"
        f"Cookie: {cookie}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    sent, answer = 0, b""
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as raw:
        raw.sendall(head.encode())
        try:
            while sent < 1 << 30:
                raw.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                sent += 0x10000
        except OSError:  # the server has closed
            pass
        try:
            answer = raw.recv(100)
        except OSError:  # and said why before, which the reset may have overtaken
            answer = b"HTTP/1.1 413"
    assert sent < 1 << 26
    assert answer.split()[1] == b"413"
    assert ask(page.port, "GET", "/api/clips", Cookie=cookie)[0] == 200


# ---- what it says


def test_frames_come_as_they_are(page, cookie):
    found = page.clips.open(0)
    body = ask(page.port, "GET", "/api/clips/0/frames?start=2&stop=5", Cookie=cookie)[2]
    assert body == found.clip.frames[2:5].tobytes()
    body = ask(page.port, "GET", "/api/clips/0/frames?start=6&stop=999999999", Cookie=cookie)[2]
    assert body == found.clip.frames[6:].tobytes()
    body = ask(page.port, "GET", "/api/clips/0/frames/3/probabilities", Cookie=cookie)[2]
    assert body == found.probabilities[3].tobytes()


def test_facts_are_json_and_hold_the_tracing(page, cookie):
    facts = json.loads(ask(page.port, "GET", "/api/clips/0", Cookie=cookie)[2], parse_constant=pytest.fail)
    recording = read_echonet(page.data).recordings[0]
    assert sorted(map(int, facts["truth"])) == [2, 5]
    np.testing.assert_allclose(facts["truth"]["2"], order_contour(recording.tracings[0].coordinates), atol=1e-3)
    assert facts["listed_ef"] == 55.5
    np.testing.assert_allclose(facts["points"], outlines(8), atol=1e-3)


def test_a_change_is_measured_and_kept(page, cookie):
    sent = points_of(1, moved=(2.0, -1.0))
    status, answer = change(page, cookie, 1, sent)
    assert status == 200
    handles = Handles(np.array(sent["points"], np.float32), np.arange(5), np.zeros(5, bool))
    assert answer["area"] == fill_polygons(DRAWING.join(handles)[None], (40, 48)).sum()
    assert answer["version"] == page.corrections.version("a.avi", 1)
    line = json.loads((page.corrections.folder / "audit.jsonl").read_text().splitlines()[-1])
    np.testing.assert_allclose(line["before"], outlines(8)[1], atol=1e-3)
    np.testing.assert_allclose(line["after"], sent["points"], atol=1e-3)
    assert (line["file"], line["frame"], line["seconds"], line["drags"]) == ("a.avi", 1, 1.5, 1)

    status, theirs = change(page, cookie, 1, points_of(1, moved=(9.0, 9.0)))
    assert status == 409, "it was changed since version 0"
    np.testing.assert_allclose(theirs["points"], sent["points"], atol=1e-3)

    status, answer = change(page, cookie, 1, None, version=theirs["version"])
    assert status == 200
    assert answer["area"] == page.clips.open(0).facts["areas"][1]
    assert 1 not in page.corrections.of("a.avi")


@pytest.mark.parametrize(
    "points",
    [
        points_of(0, landmarks=(0, 1, 2, 3, 5)),
        points_of(0, landmarks=(4, 3, 2, 1, 0)),
        points_of(0, landmarks=(0, 1, 2, ADDED, 3)),  # between the ends of the annulus
        points_of(0, landmarks=(ADDED, 1, 2, 3, 4)),  # no apex
        points_of(0, landmarks=(0, 1, 2, 3, 1 << 70)),
        points_of(0, moved=(1e9, 0)),
        {**points_of(0), "held": [True]},
        {**points_of(0), "points": [[1.0, 1.0]] * 5},  # no area
        {**points_of(0), "points": [[1.0, float(i)] for i in range(5)]},
        {"points": [[0, 0]] * 201, "landmarks": [ADDED] * 201, "held": [True] * 201},
    ],
)
def test_impossible_points_are_refused(page, cookie, points):
    assert change(page, cookie, 0, points)[0] == 422
    assert change(page, cookie, 0, points, version=7)[0] == 422
    assert 0 not in page.corrections.of("a.avi")


def test_numbers_that_are_none_are_refused(page, cookie):
    points = points_of(0)
    points["points"][0][0] = float("nan")  # json writes NaN, which is no JSON
    assert change(page, cookie, 0, points)[0] == 422
    assert change(page, cookie, 0, points_of(0), seconds=float("inf"))[0] == 422
    assert change(page, cookie, 8, points_of(0))[0] == 404
    assert change(page, cookie, 0, points_of(0), clip=9)[0] == 404


def test_a_full_disk_loses_nothing(page, cookie, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    status, answer = change(page, cookie, 3, points_of(3, moved=(1.0, 0.0)))
    assert status == 200
    monkeypatch.setattr(module, "replace_file", full)
    status, refusal = change(page, cookie, 3, points_of(3, moved=(2.0, 0.0)), version=answer["version"])
    assert (status, refusal["detail"]) == (507, "not saved: No space left on device")
    monkeypatch.undo()
    kept, version = page.corrections.of("a.avi")[3]
    assert version == answer["version"]
    np.testing.assert_allclose(kept.points, points_of(3, moved=(1.0, 0.0))["points"], atol=1e-3)


def test_the_rest_is_predicted_anew(page, cookie):
    points = {**points_of(2, moved=(3.0, 0.0)), "held": [False, True, False, False, False]}
    headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{page.port}", "Content_Type": "application/json"}
    status, _, body = ask(page.port, "POST", "/api/clips/0/frames/2/hold", body=json.dumps(points).encode(), **headers)
    assert status == 200
    moved = np.array(json.loads(body)["points"]) - outlines(8)[2]
    np.testing.assert_allclose(moved[1], (3.0, 0.0), atol=1e-3)
    np.testing.assert_allclose(moved[[0, 2, 3, 4]], [[1.125, 1.125]] * 4, atol=1e-3)  # all errors correlate by 0.6
    points["held"] = [False] * 5
    status, _, body = ask(page.port, "POST", "/api/clips/0/frames/2/hold", body=json.dumps(points).encode(), **headers)
    assert (status, json.loads(body)["detail"]) == (422, "no landmark is held; move one first")


def test_reviewing_changes_no_original(page, cookie, tmp_path):
    fresh = write_folder(tmp_path / "same")
    for path in fresh.rglob("*.csv"):
        assert path.read_bytes() == (page.data / path.name).read_bytes()
    assert {path.name for path in page.corrections.folder.iterdir()} == {
        "Landmarks.csv",
        "VolumeTracings.csv",
        "audit.jsonl",
        ".lock",
    }


# ---- what is kept


@contextlib.contextmanager
def opened(folder, kind="chords"):
    with contextlib.closing(Corrections(folder, DRAWING, kind=kind)) as kept:
        yield kept


def handles_of(frame=0, shift=0.0) -> Handles:
    return Handles(outlines(8)[frame] + np.float32(shift), np.arange(5), np.arange(5) == 1)


def save(kept, file, frame, handles, version=0):
    return kept.save(file, frame, handles, version=version, before=outlines(8)[frame], effort=EFFORT)


def test_reopening_goes_on(tmp_path):
    extra = Handles(np.insert(outlines(8)[2], 1, (27, 10), axis=0), np.array([0, -1, 1, 2, 3, 4]), np.ones(6, bool))
    with opened(tmp_path) as kept:
        save(kept, "b.avi", 2, extra)
        save(kept, "a.avi", 5, handles_of(5, 0.125))
        save(kept, "a.avi", 4, handles_of(4))
        save(kept, "a.avi", 4, None, version=1)
    with opened(tmp_path) as again:
        assert (list(again.of("a.avi")), list(again.of("b.avi"))) == ([5], [2])
        found, version = again.of("b.avi")[2]
        assert version == 1
        np.testing.assert_allclose(found.points, extra.points, atol=1e-4)
        np.testing.assert_array_equal(found.landmarks, extra.landmarks)
        np.testing.assert_array_equal(again.of("a.avi")[5][0].held, np.arange(5) == 1)
        save(again, "b.avi", 2, None, version=1)
        save(again, "a.avi", 5, None, version=1)
    with opened(tmp_path) as again:
        assert again.of("a.avi") == {}
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 6


@pytest.mark.parametrize("kind", ["chords", "points"])
def test_corrections_are_tracings_that_our_reader_takes(tmp_path, kind):
    data = write_folder(tmp_path / "data")
    with opened(tmp_path / "corrections", kind) as kept:
        for name in "abc":
            save(kept, f"{name}.avi", 3, handles_of(3, 1.0))
    shutil.copy(tmp_path / "corrections" / "VolumeTracings.csv", data / "VolumeTracings.csv")
    dataset = read_echonet(data)
    assert (dataset.kind, dataset.faults) == (kind, ())
    assert [tracing.frame for recording in dataset.recordings for tracing in recording.tracings] == [3, 3, 3]
    contour = order_contour(dataset.recordings[0].tracings[0].coordinates)
    drawn, meant = (fill_polygons(each[None], (40, 48)) for each in (contour, DRAWING.join(handles_of(3, 1.0))))
    assert (drawn & meant).sum() / (drawn | meant).sum() > (0.92 if kind == "chords" else 0.999)


def test_of_two_at_once_one_is_told(tmp_path):
    barrier, outcomes = threading.Barrier(8), []

    def change_it(kept, shift):
        barrier.wait()
        try:
            outcomes.append(save(kept, "a.avi", 0, handles_of(0, shift)))
        except OutdatedError:
            outcomes.append(None)

    with opened(tmp_path) as kept:
        threads = [threading.Thread(target=change_it, args=(kept, i / 8)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes, key=str) == [1] + [None] * 7


def test_a_second_review_is_kept_out(tmp_path):
    pytest.importorskip("fcntl")
    with opened(tmp_path), pytest.raises(DataError, match="another review has it open"):
        Corrections(tmp_path, DRAWING, kind="chords")
    with opened(tmp_path):
        pass


@pytest.mark.parametrize(
    ("row", "column", "text", "says"),
    [
        (2, 1, "x", r"Landmarks\.csv, row 2: X is 'x', not a number"),
        (3, 4, "9", "row 2: the points of frame 0 of a.avi are no outline of the run's scheme 'anatomical' of 5"),
        (1, 1, "Z", "no column X"),
    ],
)
def test_damage_is_told_by_its_row(tmp_path, row, column, text, says):
    with opened(tmp_path) as kept:
        save(kept, "a.avi", 0, handles_of())
    set_cell(tmp_path / "Landmarks.csv", row, column, text)
    with pytest.raises(DataError, match=says):
        Corrections(tmp_path, DRAWING, kind="chords")


# ---- what it stands on


def test_chords_of_an_ellipse():
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    outline = np.stack([24 + 8 * np.sin(angle), 20 - 14 * np.cos(angle)], axis=1)
    rows = cut_chords(outline, np.array([[24, 6], [24, 34]]), count=9)
    height = 20 - 14 + 28 * (np.arange(9) + 0.5) / 9
    half = 8 * np.sqrt(1 - ((height - 20) / 14) ** 2)
    expected = np.stack([24 - half, height, 24 + half, height], axis=1)
    np.testing.assert_allclose(rows, np.concatenate([ellipse_chords()[:1], expected]), atol=1e-3)


@given(st.integers(0, 2**32 - 1))
def test_held_landmarks_tell_the_others(seed):
    """By the precision matrix instead: what is unknown given the rest, of a Gaussian."""
    random = np.random.default_rng(seed)
    count = 4
    spread = random.normal(size=(2 * count, 2 * count + 3))
    together = spread @ spread.T / 8
    roots = random.normal(size=(count, 2, 2))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(2)
    held = random.choice(count, random.integers(1, count), replace=False)
    landmarks, places = random.normal(size=(count, 2)), random.normal(size=(len(held), 2))
    moved = Calibration(0.0, 1.0, 0.0, together).hold(landmarks, covariances, held, places)

    blocks = np.zeros((2 * count, 2 * count))
    for k, covariance in enumerate(covariances):
        values, vectors = np.linalg.eigh(covariance)
        blocks[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = vectors * np.sqrt(values) @ vectors.T
    precision = np.linalg.inv(blocks @ together @ blocks)
    known = np.concatenate([[2 * k, 2 * k + 1] for k in held])
    free = np.setdiff1d(np.arange(2 * count), known)
    errors = (landmarks[held] - places).ravel()
    expected = landmarks.ravel().copy()
    expected[known] = places.ravel()
    expected[free] += np.linalg.solve(precision[np.ix_(free, free)], precision[np.ix_(free, known)] @ errors)
    np.testing.assert_allclose(moved.ravel(), expected, rtol=1e-3, atol=1e-3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 9))
def test_what_is_marked_comes_first(uncertainty, apart):
    review = np.arange(len(uncertainty)) % 5 == 3
    order = next_to_look_at(np.array(uncertainty), review, apart=apart)
    marked = [bool(review[frame]) for frame in order]
    assert marked == sorted(marked, reverse=True)
    assert set(next_to_look_at(np.array(uncertainty), review, apart=1)) == set(range(len(uncertainty)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 9))
def test_next_to_look_at(uncertainty, apart):
    order = next_to_look_at(np.array(uncertainty), apart=apart)
    assert uncertainty[order[0]] == max(uncertainty)
    assert all(uncertainty[a] >= uncertainty[b] for a, b in itertools.pairwise(order))
    assert all(abs(a - b) >= apart for i, a in enumerate(order) for b in order[:i])
    assert all(min(abs(frame - a) for a in order) < apart for frame in range(len(uncertainty)))


def test_a_mask_gets_points(tmp_path):
    with reviewed(tmp_path, "mask") as page:
        found = page.clips.open(0)
        assert {len(each.points) for each in found.handles} == {16}
        for mask, handles in zip(masks_of(found), found.handles, strict=True):
            drawn = fill_polygons(page.clips.drawing.join(handles)[None], (40, 48))[0]
            assert 2 * (drawn & mask).sum() / (drawn.sum() + mask.sum()) > 0.95


def test_points_of_empty_masks():
    drawing = drawing_of(MaskCodec())
    square = np.array([[10, 10], [20, 10], [20, 20], [10, 20]], np.float32)
    points = clips._points_on([None, None, square, None, square + 5, None], (40, 48), drawing)
    np.testing.assert_allclose(points[[0, 1, 2]], points[[3, 3, 3]])
    np.testing.assert_allclose(points[[4, 5]], points[[2, 2]] + 5, atol=1e-4)
    circle = clips._points_on([None], (40, 48), drawing)[0]
    np.testing.assert_allclose(np.linalg.norm(circle - (24, 20), axis=1), 40 / 6)


def masks_of(found):
    return (found.probabilities > 127).astype(np.uint8)


def test_sources(tmp_path):
    data = write_folder(tmp_path / "data")
    sources, kind = find_sources([data], None)
    assert ([source.name for source in sources], kind) == (["a.avi", "b.avi", "c.avi"], "chords")
    loose, kind = find_sources([data / "Videos"], data)
    assert [len(source.recording.tracings) for source in loose] == [2, 2, 2]
    assert find_sources([data / "Videos" / "a.avi"], None)[1] is None
    with pytest.raises(DataError, match=r"two files are called a\.avi"):
        find_sources([data, data / "Videos" / "a.avi"], None)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no file in it"):
        find_sources([tmp_path / "none"], None)
    bad = shutil.copy(data / "Videos" / "a.avi", tmp_path / "a,b.avi")
    with pytest.raises(DataError, match="rename the file"):
        find_sources([Path(bad)], None)


# ---- the command


def test_addresses_are_named(capsys):
    for host in ("0.0.0.0", "::", "everywhere"):
        with pytest.raises(SystemExit) as stop:
            main(["review", "run", "video", "--host", host])
        assert stop.value.code == 2
        assert "--host" in capsys.readouterr().err


def test_a_missing_extra_is_named(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("echoseg.review.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["review", "run", "video"]) == 1
    assert capsys.readouterr().err == "echoseg: fastapi is missing; pip install 'echoseg[review]'\n"


def test_the_command_serves_and_ends(tmp_path):
    data, run = write_folder(tmp_path / "data"), tmp_path / "run"
    config = Config(approach="mask", size=(32, 32), width=4, depth=2)
    run.mkdir()
    config.save(run / "config.yaml")
    save_weights(run / "model.safetensors", build(config)[0])
    command = [sys.executable, "-m", "echoseg", "review", run, data, "--no-browser", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        printed = [process.stdout.readline() for _ in range(3)]
        assert printed[0] == f"corrections: {run / 'corrections'}\n"
        port, path = re.search(r"http://127\.0\.0\.1:(\d+)(/enter\?token=\S+)$", printed[1]).groups()
        status, headers, _ = ask(int(port), "GET", path)
        assert status == 200
        status, _, body = ask(int(port), "GET", "/api/clips/1", Cookie=headers["set-cookie"].split(";")[0])
        assert (status, json.loads(body)["frames"]) == (200, 8)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert (run / "corrections").is_dir()


def test_training_takes_corrections(tmp_path):
    data, run = write_folder(tmp_path / "data"), tmp_path / "run"
    with opened(tmp_path / "corrections") as kept:
        for name, frame in itertools.product("ab", (0, 5)):  # training and validation
            save(kept, f"{name}.avi", frame, handles_of(frame))
    tiny = ["--size", "32", "32", "--width", "4", "--depth", "2", "--device", "cpu", "--epochs", "1"]
    corrected = ["--corrections", str(kept.folder)]
    assert main(["train", "--approach", "mask", "--data", str(data), "--out", str(run), *tiny, *corrected]) == 0
    measured = json.loads((run / "metrics.json").read_text())["test"]
    own = prepare(data, size=(32, 32))
    assert measured["data"] == str(own.path), "measured on the data's own tracings"
    assert len(prepare(data, size=(32, 32), corrections=kept.folder)) == len(own) + 2
