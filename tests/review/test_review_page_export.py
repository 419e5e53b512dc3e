"""The review page in a real browser: what it exports, and the second reader."""

from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pandas as pd
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")
# ruff: noqa: E402

from _review_page import MARKS, drag, no_errors, open_page, positions, saved, states_of, wait_for_text
from _reviewing import review_server

pytestmark = MARKS


@pytest.mark.parametrize("served", ["landmark", "mask"], indirect=True)
def test_the_export_has_the_corrected_masks(context, served, tmp_path):
    page = open_page(context, served)
    before = positions(page)
    drag(page, before[1], before[1] + (4, 0))
    saved(page)
    states = {frame: state for frame, (state, _) in served.corrections.states("a.avi").items()}
    loaded = served.clips.open(0)
    for carry, expected in (
        (True, served.clips.carried(loaded, states)),
        (False, served.clips.corrected(loaded, states)),
    ):
        page.locator("#carry").set_checked(carry)
        with page.expect_download() as download:
            page.locator("#export").click()
        assert download.value.suggested_filename == "a.avi.zip"
        with zipfile.ZipFile(download.value.path()) as archive:
            archive.extractall(tmp_path)
        pages = cv2.imreadmulti(str(tmp_path / "masks.tif"), flags=cv2.IMREAD_UNCHANGED)[1]
        np.testing.assert_array_equal(np.array(pages), 255 * expected.masks)
        table = pd.read_csv(tmp_path / "frames.csv")
        np.testing.assert_array_equal(table["area_px"], expected.areas)
        assert list(pd.read_csv(tmp_path / "beats.csv")["ed"]) == [ed for ed, _ in loaded.facts["beats"]]
        assert len(list((tmp_path / "png" / "masks").iterdir())) == 8


def test_the_page_says_who_the_second_reader_is_and_shows_no_other_corrections(browser, tmp_path):
    for reader in ("", "Bea"):
        with review_server(tmp_path, reader=reader) as served, no_errors(browser.new_context()) as context:
            page = open_page(context, served)
            assert page.is_visible("#reader") == bool(reader)
            if reader:
                assert page.inner_text("#reader") == "Reader: Bea"
            assert states_of(served) == {}
            before = positions(page)
            np.testing.assert_allclose(before, served.clips.open(0).handles[0].points, atol=1e-3)
            drag(page, before[1], before[1] + (4, 0))
            saved(page)
            assert list(states_of(served)) == [0]


def test_the_export_says_why_there_is_no_segmentation(context, served, monkeypatch):
    monkeypatch.setattr("echoseg.report.dicom_segmentation.is_dicom_source", lambda _: True)
    monkeypatch.setattr("echoseg.report.dicom_segmentation.find_spec", lambda _: None)
    page = open_page(context, served)
    with page.expect_download():
        page.locator("#export").click()
    wait_for_text(page, "#export-note", r"no segmentation\.dcm: .*pip install 'echoseg\[dicomseg\]'")
    page.keyboard.press("]")
    sync_api.expect(page.locator("#export-note")).to_have_text("")
