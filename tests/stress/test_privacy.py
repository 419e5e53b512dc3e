"""A short run of `privacy.py`, without the slow commands."""

from __future__ import annotations

import base64
import gzip

import pytest

from stress.privacy import find_markers, run


@pytest.mark.slow
@pytest.mark.stress
def test_names_appear_only_in_the_outputs_that_may_contain_them(tmp_path):
    markers, outputs, problems = run(tmp_path)
    assert problems == []
    assert markers > 30
    assert outputs > 60


def test_markers_are_found_in_encoded_and_compressed_data():
    marker = b"x zqsecretxw x"
    encoded = [marker, marker.decode().encode("utf-16"), gzip.compress(marker), base64.b64encode(b"12" + marker)]
    assert [find_markers(data) for data in encoded] == [{"zqsecret"}] * 4
    assert find_markers(b"data:," + base64.b64encode(gzip.compress(marker))) == {"zqsecret"}
