from __future__ import annotations

import errno
import os

import pytest

from echoseg.utils.cache import cache_folder


def test_the_cache_folder_can_be_set(monkeypatch, tmp_path):
    monkeypatch.setenv("ECHOSEG_CACHE", str(tmp_path / "my cache"))
    assert cache_folder() == tmp_path / "my cache"
    monkeypatch.delenv("ECHOSEG_CACHE")
    assert cache_folder().name == "echoseg"


@pytest.mark.skipif(os.name == "nt", reason="the temporary folder has another name")
def test_a_home_that_may_not_be_searched(monkeypatch, tmp_path):
    home, stat = tmp_path / "home", os.stat
    home.mkdir()

    def refused(path, *arguments, **options):
        if str(path).startswith(f"{home}/"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, *arguments, **options)

    monkeypatch.delenv("ECHOSEG_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: home / ".cache" / name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "stat", refused)
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.F_OK and home not in path.parents)
    assert cache_folder() == tmp_path / f"echoseg-{os.getuid()}"
