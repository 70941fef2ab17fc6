"""The hidden scorer: reads the tests when it is called, and leaves no trace in the cache."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.base import Sandbox
from sandbox.local import LocalSandbox
from tasks import load_task
from tasks.model import TaskError
from verifiers.cache import VerdictCache
from verifiers.scorer import HiddenScorer
from verifiers.verifier import Verifier

pytestmark = pytest.mark.anyio
RIGHT = "def f(x):\n    return x + 1\n"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    async with LocalSandbox(slots=1) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A task with one visible and one hidden test."""
    made = tmp_path / "task"
    (made / "hidden").mkdir(parents=True)
    (made / "task.toml").write_text('prompt = "def f(x):"\n')
    (made / "test_a.py").write_text("from solution import f\ndef test_a():\n    assert f(1) == 2\n")
    (made / "hidden" / "test_b.py").write_text(
        "from solution import f\ndef test_b():\n    assert f(5) == 6\n"
    )
    return made


async def test_hidden_tests_decide_and_are_read_when_the_score_is_taken(
    sandbox: Sandbox, folder: Path, tmp_path: Path
) -> None:
    cache = VerdictCache(tmp_path / "verdicts.sqlite")
    verifier = Verifier(sandbox, cache=cache)
    scorer = HiddenScorer(verifier)
    task = load_task(str(folder))
    only_visible = "def f(x):\n    return 2\n"
    assert (await verifier.verify(task.public(), only_visible)).passed
    verdict = await scorer.score(task, only_visible)
    assert not verdict.passed
    assert [test.name for test in verdict.tests] == ["test_b"]
    assert (await scorer.score(task, RIGHT)).passed

    hidden = folder / "hidden" / "test_b.py"
    hidden.write_text(hidden.read_text().replace("6", "2"))
    assert (await scorer.score(task, only_visible)).passed
    assert not (await scorer.score(task, RIGHT)).passed
    hidden.unlink()
    with pytest.raises(TaskError, match=r"test_b\.py"):
        await scorer.score(task, RIGHT)
    cache.close()
    assert b"test_b" not in (tmp_path / "verdicts.sqlite").read_bytes()


async def test_without_hidden_tests_the_visible_ones_decide(sandbox: Sandbox, folder: Path) -> None:
    (folder / "hidden" / "test_b.py").unlink()
    (folder / "hidden").rmdir()
    task = load_task(str(folder))
    assert not task.has_hidden
    scorer = HiddenScorer(Verifier(sandbox))
    assert (await scorer.score(task, RIGHT)).passed
    assert not (await scorer.score(task, "def f(x):\n    return x\n")).passed
