"""Which plug-ins installed packages announce, and how a setup's tree travels."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.guest.plugins import plugin_arguments
from sandbox.suite import packed, unpacked


def announce(folder: Path, package: str, text: str) -> None:
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(text)


def test_plugins_of_installed_packages_are_named(tmp_path: Path) -> None:
    site = tmp_path / "site"
    announce(site, "mock", "[console_scripts]\nx = a:b\n\n[pytest11]\npytest_mock = pytest_mock\n")
    announce(site, "asyncio", "[pytest11]\n# a note\nasyncio=pytest_asyncio.plugin:x [extra]\n")
    announce(site, "cov", "[pytest11]\npytest_cov = pytest_cov.plugin\n[other]\ny = z\n")
    (site / "broken-1.0.dist-info").mkdir()
    (site / "broken-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff")
    folders = [str(site), str(tmp_path / "gone")]
    assert plugin_arguments(folders, ["-q"]) == ["-pasyncio", "-ppytest_mock"]
    assert plugin_arguments(folders, ["-ppytest_asyncio.plugin", "-ppytest_mock"]) == []


def test_what_is_packed_is_unpacked_up_to_a_limit() -> None:
    data = b"x" * 100_000
    assert unpacked(packed(data), len(data)) == data
    with pytest.raises(ValueError, match="more than 99999 bytes"):
        unpacked(packed(data), len(data) - 1)
    for text in ("", "AAAA", packed(data)[:-8]):
        with pytest.raises(ValueError, match=r"."):
            unpacked(text, len(data))
