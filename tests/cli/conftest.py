from __future__ import annotations

import pytest

from _folders import write_folder


@pytest.fixture
def data(tmp_path):
    return write_folder(tmp_path / "data")
