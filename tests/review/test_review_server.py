"""The server of the review page: which requests it accepts, and its responses."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from _folders import write_folder, write_video
from _reviewing import CODEC, outlines, request, review_server
from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.file_contents import hash_content, read_hashes
from echoseg.geometry.contour import order_contour
from echoseg.ops import fill_polygons
from echoseg.review import corrections_folder as module
from echoseg.review import security
from echoseg.review.clip_states import measure_reviewed
from echoseg.review.handles import ADDED, Handles, drawing_of
from echoseg.review.security import Guard

DRAWING = drawing_of(CODEC)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with review_server(tmp_path_factory.mktemp("review")) as served:
        yield served


@pytest.fixture(scope="module")
def cookie(page):
    """The cookie of the session, which a browser gets by opening the link."""
    status, headers, _ = request(page.port, "GET", page.links[0].split(str(page.port))[1])
    assert status == 200
    assert re.search("HttpOnly; SameSite=Strict$", headers["set-cookie"])
    return headers["set-cookie"].split(";")[0]


def change(page, cookie, frame, points, *, version=0, clip=0, **other):
    body = json.dumps({"version": version, "points": points, "seconds": 1.5, "drags": 1, **other}).encode()
    headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{page.port}", "Content_Type": "application/json"}
    status, _, response = request(page.port, "POST", f"/api/clips/{clip}/frames/{frame}", body=body, **headers)
    return status, json.loads(response)


def points_of(frame, *, moved=(0.0, 0.0), landmarks=(0, 1, 2, 3, 4)):
    points = outlines(8)[frame].astype(float) + (np.arange(5) == 1)[:, None] * moved
    return {"points": points.tolist(), "landmarks": list(landmarks), "pinned": [False] * 5}


# ---- which requests are accepted


@pytest.mark.parametrize("host", [None, "", "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]"])
def test_another_host_is_refused(page, cookie, host):
    host = host and host.format(port=page.port)
    for path in ("/", "/api/clips", page.links[-1].split(str(page.port))[1]):
        assert request(page.port, "GET", path, Host=host, Cookie=cookie)[0] in (400, 403)


def test_two_hosts_are_refused(page, cookie):
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as raw:
        hosts = f"Host: 127.0.0.1:{page.port}\r\nHost: evil.example\r\n"
        raw.sendall(f"GET / HTTP/1.1\r\n{hosts}Cookie: {cookie}\r\n\r\n".encode())
        assert raw.recv(100).split()[1] in (b"400", b"403")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"])
def test_another_origin_is_refused(page, cookie, origin):
    origin = origin.format(port=page.port)
    for method, path in (("GET", "/api/clips"), ("POST", "/api/clips/0/frames/0")):
        status, headers, _ = request(page.port, method, path, body=b"{}", Cookie=cookie, Origin=origin)
        assert status == 403
        assert not [name for name in headers if name.startswith("access-control")]


def test_a_refusal_is_received_whatever_the_request_holds(page, cookie, monkeypatch):
    monkeypatch.setattr(security, "_REFUSED_BODY_TIMEOUT", 60.0)
    # a connection that is closed with unread bytes is reset, and the response is lost
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as raw:
        head = f"POST /api/clips/0/frames/0 HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nContent-Length: 200000\r\n\r\n"
        raw.sendall(head.encode())
        for _ in range(20):
            raw.sendall(bytes(10000))
            time.sleep(0.001)
        response = b""
        while piece := raw.recv(4096):
            response += piece
    assert response.startswith(b"HTTP/1.1 403")
    assert b"comes from another page" in response


def test_a_change_needs_an_origin_and_json(page, cookie):
    own = f"http://127.0.0.1:{page.port}"
    path = "/api/clips/0/frames/0"
    json_type = {"Content_Type": "application/json"}
    assert request(page.port, "POST", path, body=b"{}", Cookie=cookie, **json_type)[0] == 403
    assert request(page.port, "POST", path, body=b"{}", Cookie=cookie, Origin=own, Content_Type="text/plain")[0] == 415
    assert request(page.port, "POST", path, body=b"{}", Cookie=cookie, Origin=own, **json_type)[0] == 422


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(page, cookie, method):
    assert request(page.port, method, "/api/clips/0/frames/0", Cookie=cookie)[0] == 405


@pytest.mark.parametrize("given_cookie", [None, "echoseg-{port}=", "echoseg-{port}=guess", "other=1", "\x01;=;", "é"])
def test_requests_without_the_cookie_are_refused(page, given_cookie):
    header = given_cookie and given_cookie.format(port=page.port)
    for path in ("/", "/static/main.js", "/api/clips", "/api/clips/0/frames?start=0&stop=1", "/nothing"):
        status, _, body = request(page.port, "GET", path, Cookie=header)
        assert status == 403
        assert b"link" in body


def test_a_link_works_once(page, cookie):
    assert request(page.port, "GET", page.links[0].split(str(page.port))[1])[0] == 403, "the fixture has used it"
    assert request(page.port, "GET", "/enter?token=guess")[0] == 403
    assert request(page.port, "GET", "/enter")[0] == 403
    assert len(set(page.links)) == len(page.links)
    assert request(page.port, "GET", "/", Cookie=f"a=b; {cookie}")[0] == 200


def test_a_new_link_is_announced_when_one_is_used():
    announced = []
    guard = Guard(None, host="127.0.0.1", port=80, announce=announced.append)
    first = guard.link
    assert announced == [], "the constructor announces nothing"

    async def ignore(_):
        pass

    def enter(link):
        headers = [(b"host", b"127.0.0.1")]  # browsers leave out port 80
        query = link.split("?")[1].encode()
        scope = {"type": "http", "method": "GET", "path": "/enter", "query_string": query, "headers": headers}
        asyncio.run(guard(scope, None, ignore))

    enter(first)
    assert announced == [guard.link] != [first]
    enter(first)
    assert len(announced) == 1, "a used link makes no new one"


def test_every_response_forbids_scripts_of_others(page, cookie):
    for path, header in (
        ("/", cookie),
        ("/", None),
        ("/static/main.js", cookie),
        ("/api/clips", cookie),
        ("/no", cookie),
    ):
        headers = request(page.port, "GET", path, Cookie=header)[1]
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
def test_no_path_leaves_the_folder(page, cookie, path):
    status, _, body = request(page.port, "GET", path, Cookie=cookie)
    assert status in (404, 422)
    assert b"import" not in body
    assert b"root:" not in body


def test_a_large_body_is_refused_before_it_is_read(page, cookie):
    head = (
        f"POST /api/clips/0/frames/0 HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nOrigin: http://127.0.0.1:{page.port}\r\n"
        f"Cookie: {cookie}\r\nContent-Type: application/json\r\n"
    )
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as raw:
        raw.sendall(f"{head}Content-Length: {1 << 30}\r\n\r\n".encode())
        assert raw.recv(100).split()[1] == b"413", "refused at once, not after the body"


def test_an_endless_body_is_refused(page, cookie):
    head = (
        f"POST /api/clips/0/frames/0 HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nOrigin: http://127.0.0.1:{page.port}\r\n"
        f"Cookie: {cookie}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    sent, response = 0, b""
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as raw:
        raw.sendall(head.encode())
        try:
            while sent < 1 << 30:
                raw.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                sent += 0x10000
        except OSError:  # the server has closed the connection
            pass
        try:
            response = raw.recv(100)
        except OSError:  # the reset may overtake the response
            response = b"HTTP/1.1 413"
    assert sent < 1 << 26
    assert response.split()[1] == b"413"
    assert request(page.port, "GET", "/api/clips", Cookie=cookie)[0] == 200


# ---- responses


def test_frames_and_probabilities(page, cookie):
    found = page.clips.open(0)
    body = request(page.port, "GET", "/api/clips/0/frames?start=2&stop=5", Cookie=cookie)[2]
    assert body == found.clip.frames[2:5].tobytes()
    body = request(page.port, "GET", "/api/clips/0/frames?start=6&stop=999999999", Cookie=cookie)[2]
    assert body == found.clip.frames[6:].tobytes()
    body = request(page.port, "GET", "/api/clips/0/frames/3/probabilities", Cookie=cookie)[2]
    assert body == found.probabilities[3].tobytes()


def test_facts_are_json_and_hold_the_tracing(page, cookie):
    facts = json.loads(request(page.port, "GET", "/api/clips/0", Cookie=cookie)[2], parse_constant=pytest.fail)
    recording = read_echonet(page.data).recordings[0]
    assert sorted(map(int, facts["truth"])) == [2, 5]
    np.testing.assert_allclose(facts["truth"]["2"], order_contour(recording.tracings[0].coordinates), atol=1e-3)
    assert facts["listed_ef"] == 55.5
    np.testing.assert_allclose(facts["points"], outlines(8), atol=1e-3)


def test_a_change_is_measured_and_saved(page, cookie):
    sent = points_of(1, moved=(2.0, -1.0))
    status, response = change(page, cookie, 1, sent)
    assert status == 200
    handles = Handles(np.array(sent["points"], np.float32), np.arange(5), np.zeros(5, bool))
    assert response["area"] == fill_polygons(DRAWING.join(handles)[None], (40, 48)).sum()
    assert response["version"] == page.corrections.states("a.avi")[1][1]
    line = json.loads((page.corrections.folder / "audit.jsonl").read_text().splitlines()[-1])
    np.testing.assert_allclose(line["before"], outlines(8)[1], atol=1e-3)
    np.testing.assert_allclose(line["after"], sent["points"], atol=1e-3)
    assert (line["file"], line["frame"], line["seconds"], line["drags"]) == ("a.avi", 1, 1.5, 1)

    status, current = change(page, cookie, 1, points_of(1, moved=(9.0, 9.0)))
    assert status == 409, "the frame is no longer at version 0"
    np.testing.assert_allclose(current["points"]["points"], sent["points"], atol=1e-3)

    status, response = change(page, cookie, 1, None, version=current["version"])
    assert status == 200
    assert response["area"] == page.clips.open(0).facts["areas"][1]
    assert 1 not in page.corrections.of("a.avi")

    states = json.loads(request(page.port, "GET", "/api/clips/0", Cookie=cookie)[2])["states"]
    unchanged = {"version": response["version"], "points": None, "verdict": None, "note": ""}
    assert unchanged.items() <= states["1"].items(), "a page that loads the clip again can save"
    assert change(page, cookie, 1, sent, version=states["1"]["version"])[0] == 200
    assert change(page, cookie, 1, None, version=response["version"] + 1)[0] == 200


def post(page, cookie, path, **body):
    headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{page.port}", "Content_Type": "application/json"}
    body = json.dumps({"seconds": 1.0, "drags": 0, **body}).encode()
    status, _, response = request(page.port, "POST", path, body=body, **headers)
    return status, json.loads(response)


def version_of(page, frame):
    return page.corrections.states("c.avi").get(frame, (None, 0))[1]


def test_a_change_of_a_frame_that_is_unchanged_by_now_is_refused(page, cookie):
    unchanged = {"version": 0, "points": None, "verdict": None, "note": ""}
    assert change(page, cookie, 7, None, clip=2, version=3, verdict="accepted") == (409, unchanged)


def test_verdicts_are_saved_and_beats_of_rejected_frames_are_left_out(page, cookie):
    facts = json.loads(request(page.port, "GET", "/api/clips/2", Cookie=cookie)[2])
    (ed, es), *others = facts["beats"]
    versions = {frame: version_of(page, frame) for frame in (ed, es)}
    assert change(page, cookie, es, None, clip=2, version=versions[es], verdict="accepted")[0] == 200
    rejection = {"verdict": "rejected", "note": ' "cut",\n off '}
    assert change(page, cookie, ed, None, clip=2, version=versions[ed], **rejection)[0] == 200
    loaded = page.clips.open(2)
    measured = measure_reviewed(page.clips, loaded, loaded.prediction, page.corrections)
    assert measured.ed.tolist() == [beat[0] for beat in others if ed not in beat]
    assert page.corrections.states("c.avi")[es][0].accepted == loaded.accepted(es)
    states = json.loads(request(page.port, "GET", "/api/clips/2", Cookie=cookie)[2])["states"]
    assert (states[str(ed)]["verdict"], states[str(ed)]["note"]) == ("rejected", '"cut", off')
    listed = json.loads(request(page.port, "GET", "/api/clips", Cookie=cookie)[2])["clips"][2]
    reviewed = len({ed, es} & set(facts["to_review"]))
    assert listed == {"name": "c.avi", "to_review": len(facts["to_review"]), "reviewed": reviewed, "corrected": 0}
    assert change(page, cookie, ed, points_of(ed), clip=2, version=1, verdict="rejected")[0] == 422
    assert change(page, cookie, ed, None, clip=2, version=1, verdict="perhaps")[0] == 422
    assert change(page, cookie, ed, None, clip=2, version=1, verdict="rejected", note="x" * 301)[0] == 422
    for frame, version in versions.items():
        assert change(page, cookie, frame, None, clip=2, version=version + 1)[0] == 200


@pytest.mark.slow
def test_a_file_that_was_replaced_is_not_shown_with_the_corrections_of_the_other(tmp_path):
    with review_server(tmp_path) as served:
        link = served.links[0].split(str(served.port))[1]
        cookie = request(served.port, "GET", link)[1]["set-cookie"].split(";")[0]
        before = hash_content(served.clips.sources[0].path)
        request(served.port, "GET", "/api/clips/0", Cookie=cookie)
        write_video(served.clips.sources[0].path, frames=7)
        assert change(served, cookie, 1, points_of(1))[0] == 200
        assert read_hashes(served.corrections.folder) == {"a.avi": before}
        served.clips._loaded.clear()
        status, _, body = request(served.port, "GET", "/api/clips/0", Cookie=cookie)
        assert (status, change(served, cookie, 1, points_of(1), version=1)[0]) == (422, 422)
        assert "a.avi: was replaced since it was reviewed" in json.loads(body)["detail"]


def test_beats_are_chosen(page, cookie):
    assert post(page, cookie, "/api/clips/1/beats", version=0, beats=[[0, 2]]) == (200, {"version": 1})
    facts = json.loads(request(page.port, "GET", "/api/clips/1", Cookie=cookie)[2])
    assert facts["chosen_beats"] == {"version": 1, "beats": [[0, 2]]}
    assert post(page, cookie, "/api/clips/1/beats", version=0, beats=None) == (409, facts["chosen_beats"])
    many = [[frame, frame + 1] for frame in range(1001)]
    frames = "ED and ES of a beat must be two frames of the clip"
    for beats, detail in (
        ([[0, 8]], frames),
        ([[-1, 2]], frames),
        ([[3, 3]], frames),
        ([[1]], "the request does not have the format that the page sends"),
        ([[0, 1], [2, 1], [0, 1]], "a beat is listed twice"),
        (many, "the request does not have the format that the page sends"),
    ):
        assert post(page, cookie, "/api/clips/1/beats", version=1, beats=beats) == (422, {"detail": detail})
    assert post(page, cookie, "/api/clips/1/beats", version=1, beats=None)[0] == 200


def test_corrections_are_carried_to_the_frames_that_are_not_reviewed(page, cookie):
    path = "/api/clips/2/carried"
    assert json.loads(request(page.port, "GET", path, Cookie=cookie)[2]) is None, "nothing is corrected"
    sent = points_of(1, moved=(4.0, 0.0))
    sent["pinned"] = [False, True, False, False, False]
    version = version_of(page, 1)
    assert change(page, cookie, 1, sent, clip=2, version=version)[0] == 200
    accepted = version_of(page, 3)
    assert change(page, cookie, 3, None, clip=2, version=accepted, verdict="accepted")[0] == 200
    carried = json.loads(request(page.port, "GET", path, Cookie=cookie)[2])
    shifts = np.array(carried["points"]) - outlines(8)
    np.testing.assert_allclose(shifts[1, 1], (4.0, 0.0), atol=1e-3)
    assert carried["area_std"][1] == 0
    assert carried["areas"][3] == page.clips.open(2).facts["areas"][3], "an accepted frame stays"
    assert (shifts[[0, 2], 1, 0] > 2).all(), "the neighbours follow"
    assert not {1, 3} & set(carried["changed"])
    for frame, earlier in ((1, version), (3, accepted)):
        assert change(page, cookie, frame, None, clip=2, version=earlier + 1)[0] == 200


def test_a_restored_mask_has_its_predicted_area(tmp_path):
    """Not the area of the spline through the points on its contour, which the page shows while a person drags."""
    with review_server(tmp_path, "mask") as served:
        link = served.links[0].split(str(served.port))[1]
        cookie = request(served.port, "GET", link)[1]["set-cookie"].split(";")[0]
        facts = served.clips.open(0).facts
        points = {"points": facts["points"][1], "landmarks": list(range(16)), "pinned": [False] * 16}
        drawn = change(served, cookie, 1, points)[1]
        restored = change(served, cookie, 1, None, version=drawn["version"])[1]
    assert drawn["area"] != facts["areas"][1]
    assert restored["area"] == facts["areas"][1]
    assert restored["volume"] == facts["volumes"][1]


@pytest.mark.parametrize(
    "points",
    [
        points_of(0, landmarks=(0, 1, 2, 3, 5)),
        points_of(0, landmarks=(4, 3, 2, 1, 0)),
        points_of(0, landmarks=(0, 1, 2, ADDED, 3)),  # between the ends of the annulus
        points_of(0, landmarks=(ADDED, 1, 2, 3, 4)),  # no apex
        points_of(0, landmarks=(0, 1, 2, 3, 1 << 70)),
        points_of(0, moved=(1e9, 0)),
        {**points_of(0), "pinned": [True]},
        {**points_of(0), "points": [[1.0, 1.0]] * 5},  # no area
        {**points_of(0), "points": [[1.0, float(i)] for i in range(5)]},
        {"points": [[0, 0]] * 201, "landmarks": [ADDED] * 201, "pinned": [True] * 201},
    ],
)
def test_impossible_points_are_refused(page, cookie, points):
    assert change(page, cookie, 0, points)[0] == 422
    assert change(page, cookie, 0, points, version=7)[0] == 422
    assert 0 not in page.corrections.of("a.avi")


def test_numbers_that_are_not_finite_are_refused(page, cookie):
    points = points_of(0)
    points["points"][0][0] = float("nan")  # written as NaN, which is not valid JSON
    assert change(page, cookie, 0, points)[0] == 422
    assert change(page, cookie, 0, points_of(0), seconds=float("inf"))[0] == 422
    assert change(page, cookie, 8, points_of(0))[0] == 404
    assert change(page, cookie, 0, points_of(0), clip=9)[0] == 404


def test_a_full_disk_keeps_the_saved_correction(page, cookie, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    status, response = change(page, cookie, 3, points_of(3, moved=(1.0, 0.0)))
    assert status == 200
    monkeypatch.setattr(module, "replace_files", full)
    status, refusal = change(page, cookie, 3, points_of(3, moved=(2.0, 0.0)), version=response["version"])
    assert (status, refusal["detail"]) == (507, "the change was not saved: No space left on device")
    monkeypatch.undo()
    correction, version = page.corrections.of("a.avi")[3]
    assert version == response["version"]
    np.testing.assert_allclose(correction.points, points_of(3, moved=(1.0, 0.0))["points"], atol=1e-3)


def test_other_landmarks_are_updated(page, cookie):
    points = {**points_of(2, moved=(3.0, 0.0)), "pinned": [False, True, False, False, False]}
    headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{page.port}", "Content_Type": "application/json"}
    path = "/api/clips/0/frames/2/update-others"
    status, _, body = request(page.port, "POST", path, body=json.dumps(points).encode(), **headers)
    assert status == 200
    moved = np.array(json.loads(body)["points"]) - outlines(8)[2]
    np.testing.assert_allclose(moved[1], (3.0, 0.0), atol=1e-3)
    np.testing.assert_allclose(moved[[0, 2, 3, 4]], [[1.125, 1.125]] * 4, atol=1e-3)  # all errors correlate by 0.6
    points["pinned"] = [False] * 5
    status, _, body = request(page.port, "POST", path, body=json.dumps(points).encode(), **headers)
    assert (status, json.loads(body)["detail"]) == (422, "no landmark is pinned; move one first")


def test_reviewing_does_not_change_the_data_set(page, cookie, tmp_path):
    assert change(page, cookie, 4, points_of(4, moved=(1.0, 0.0)))[0] == 200
    fresh = write_folder(tmp_path / "same")
    for path in fresh.rglob("*.csv"):
        assert path.read_bytes() == (page.data / path.name).read_bytes()
    assert {path.name for path in page.corrections.folder.iterdir()} - {"Reviews.csv", "Beats.csv"} == {
        "Files.csv",
        "Landmarks.csv",
        "VolumeTracings.csv",
        "audit.jsonl",
        "sha256.json",
        ".lock",
    }
