from __future__ import annotations

import shutil

import pytest

from _folders import write_folder


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A data set in EchoNet's format, which tests copy."""
    return write_folder(tmp_path_factory.mktemp("echonet") / "data")


@pytest.fixture
def folder(template, tmp_path):
    """A copy of `template` that a test may change."""
    return shutil.copytree(template, tmp_path / "data")
