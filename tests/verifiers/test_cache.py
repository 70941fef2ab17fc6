"""The cache: what it keeps, what it never keeps, and that its faults end nothing but itself."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from sandbox.outcome import Outcome
from verifiers.cache import NEVER_CACHED, VerdictCache, default_cache_path
from verifiers.verdict import TestResult, Verdict

PASSED = Verdict(outcome=Outcome.PASSED, reward=1.0)


def test_verdicts_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "verdicts.sqlite"
    verdict = Verdict(
        outcome=Outcome.FAILED,
        reward=0.25,
        tests=(TestResult(name="a", outcome=Outcome.FAILED, detail="got '\ud800'", weight=2.0),),
        detail="grün \ud83d 🎉",
        seconds=0.5,
    )
    cache = VerdictCache(path)
    assert cache.get("k") is None
    cache.put("k", verdict)
    cache.close()
    cache.close()
    cache = VerdictCache(path)
    assert cache.get("k") == verdict.model_copy(update={"cached": True})
    assert cache.get("other") is None
    cache.put("k", PASSED)
    known = cache.get("k")
    assert known is not None
    assert known.passed
    assert cache.fault == ""
    cache.close()
    assert cache.get("k") is None
    cache.put("k", PASSED)


@pytest.mark.parametrize("outcome", sorted(NEVER_CACHED))
def test_what_could_be_chance_is_never_kept(outcome: Outcome) -> None:
    assert {Outcome.TIMEOUT, Outcome.INFRA} <= NEVER_CACHED
    cache = VerdictCache()
    cache.put("run", Verdict(outcome=outcome, reward=0.0))
    test = TestResult(name="a", outcome=outcome)
    cache.put("test", Verdict(outcome=Outcome.FAILED, reward=0.0, tests=(test,)))
    assert cache.get("run") is None
    assert cache.get("test") is None
    cache.close()


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - NEVER_CACHED))
def test_other_outcomes_are_kept(outcome: Outcome) -> None:
    cache = VerdictCache()
    cache.put("k", Verdict(outcome=outcome, reward=0.0))
    assert cache.get("k") is not None
    cache.close()


def test_rows_of_another_version_are_no_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    VerdictCache(path).close()
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO verdicts VALUES ('a', '{\"outcome\": \"new\"}')")
        other.execute("INSERT INTO verdicts VALUES ('b', 'no json')")
    other.close()
    cache = VerdictCache(path)
    assert cache.get("a") is None
    assert cache.get("b") is None
    assert cache.fault == ""
    cache.close()


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"\0" * 8192])
def test_broken_file_puts_the_cache_out_of_use(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "verdicts.sqlite"
    path.write_bytes(content)
    cache = VerdictCache(path)
    assert str(path) in cache.fault
    cache.put("k", PASSED)
    assert cache.get("k") is None
    cache.close()
    assert path.read_bytes() == content


def test_file_that_breaks_later_puts_the_cache_out_of_use(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    cache = VerdictCache(path)
    for number in range(2_000):
        cache.put(f"k{number}", PASSED)
    cache.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    cache = VerdictCache(path)
    assert cache.get("k1") is None
    assert "out of use" in cache.fault
    cache.put("k1", PASSED)
    cache.close()


@pytest.mark.parametrize("where", ["file/verdicts.sqlite", "/proc/regreen/verdicts.sqlite"])
def test_place_that_can_t_be_written_puts_the_cache_out_of_use(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    cache = VerdictCache(tmp_path / where)
    assert "out of use" in cache.fault
    cache.put("k", PASSED)
    assert cache.get("k") is None
    cache.close()


def test_cache_that_can_only_be_read_still_answers(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only to root")
    path = tmp_path / "verdicts.sqlite"
    cache = VerdictCache(path)
    cache.put("k", PASSED)
    cache.close()
    path.chmod(0o400)
    cache = VerdictCache(path)
    cache.get("k")
    cache.put("other", PASSED)
    assert cache.get("other") is None
    cache.close()


def test_locked_database_puts_the_cache_out_of_use(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    cache = VerdictCache(path)
    cache.put("k", PASSED)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache.put("l", PASSED)  # waits for as long as the cache is ready to, then gives up
    assert "locked" in cache.fault
    assert cache.get("k") is None
    other.execute("ROLLBACK")
    other.close()
    cache.close()


def test_two_caches_on_one_file_share_what_they_know(tmp_path: Path) -> None:
    one, two = (VerdictCache(tmp_path / "verdicts.sqlite") for _ in range(2))
    for number in range(50):
        (one, two)[number % 2].put(str(number), PASSED)
    for number in range(50):
        assert (two, one)[number % 2].get(str(number)) is not None
    one.close()
    two.close()


def test_place_by_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path))
    assert default_cache_path() == tmp_path / "verdicts.sqlite"
    monkeypatch.delenv("REGREEN_CACHE_DIR")
    assert default_cache_path().parent.name == "regreen"
