from __future__ import annotations

from echoseg.utils.cache import cache_folder


def test_the_cache_folder_can_be_set(monkeypatch, tmp_path):
    monkeypatch.setenv("ECHOSEG_CACHE", str(tmp_path / "my cache"))
    assert cache_folder() == tmp_path / "my cache"
    monkeypatch.delenv("ECHOSEG_CACHE")
    assert cache_folder().name == "echoseg"
