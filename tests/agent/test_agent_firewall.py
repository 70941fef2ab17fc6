"""No way to a hidden test: not for a strategy, a proposal, a prompt, a journal or a cache."""

from __future__ import annotations

import gc
import inspect
import json
import pkgutil
import typing
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import agent.proposals
import agent.search
from agent import loop
from agent.budget import Budget, Ledger
from agent.journal import Journal
from agent.llm.base import ModelRequest
from agent.loop import Confirm, Searcher
from agent.proposals.base import Known, Node
from agent.proposals.registry import _BUILT_IN as KINDS
from agent.proposals.registry import kind_of
from agent.search.base import StrategyOptions
from agent.search.registry import create_strategy
from sandbox.base import Sandbox
from tasks import load_task
from tasks.model import PublicTask, Task
from tests.agent.author import PROMPT, answer
from tests.agent.test_agent_strategies import STRATEGIES
from verifiers.cache import VerdictCache
from verifiers.scorer import HiddenScorer
from verifiers.verifier import Verifier

SECRET = "987654321"
MakeSearcher = Callable[..., Searcher]
Scripted = Callable[..., Any]


@pytest.fixture
def hidden(tmp_path: Path) -> Task:
    """The author's task with tests that nobody may see."""
    folder = tmp_path / "task"
    (folder / "hidden").mkdir(parents=True)
    (folder / "task.toml").write_text(f"entry_point = 'f'\nprompt = {json.dumps(PROMPT)}\n")
    (folder / "test_a.py").write_text("assert f(1) == 5\nassert f(5) == 13\nassert f(0) == 3\n")
    (folder / "hidden" / "test_b.py").write_text(f"assert f({SECRET}) == 2 * {SECRET} + 3\n")
    task = load_task(str(folder))
    assert task.has_hidden
    assert SECRET in repr(task.scoring())
    return task


def reachable(root: object) -> tuple[str, set[type]]:
    """All text that can be reached from an object, and the types of all objects on the way."""
    seen: set[int] = set()
    queue: list[Any] = [root]
    texts: list[str] = []
    types: set[type] = set()
    while queue:
        item = queue.pop()
        if id(item) in seen or isinstance(item, type | ModuleType | FunctionType):
            continue
        seen.add(id(item))
        types.add(type(item))
        if isinstance(item, str | bytes):
            texts.append(item if isinstance(item, str) else repr(item))
        queue.extend(gc.get_referents(item))
    return "\n".join(texts), types


@pytest.mark.anyio
@pytest.mark.parametrize("name", STRATEGIES)
async def test_no_hidden_test_in_anything_that_a_search_touches(
    hidden: Task,
    scripted: Scripted,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    known: list[Known] = []
    told: list[object] = []
    sent: list[str] = []

    class Watching(loop._Search):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            known.append(self._known)

    class Recording:
        def __init__(self, strategy: Any) -> None:
            self._strategy = strategy

        def start(self, task: PublicTask) -> Any:
            told.append(task)
            return self._strategy.start(task)

        def ask(self, state: Any, k: int) -> Any:
            return self._strategy.ask(state, k)

        def tell(self, state: Any, proposal: Any, verdict: Any) -> Any:
            told.extend((proposal, verdict))
            return self._strategy.tell(state, proposal, verdict)

        def finished(self, state: Any) -> bool:
            told.append(state)
            return bool(self._strategy.finished(state))

    def writes(request: ModelRequest) -> str:
        sent.append(request.model_dump_json())
        return answer(request.messages, request.seed)

    monkeypatch.setattr(loop, "_Search", Watching)
    options = StrategyOptions(n=12, exhaustive=True, own=STRATEGIES[name])
    journal = Journal(tmp_path / "run")
    cache = VerdictCache(tmp_path / "verdicts.sqlite")
    verifier = Verifier(sandbox, cache=cache)
    result = await Searcher(
        model=scripted(writes),
        verifier=verifier,
        strategy=typing.cast(Any, Recording(create_strategy(name, options))),
        ledger=Ledger(Budget()),
        journal=journal,
        confirm=Confirm.CHOSEN,
    ).search(hidden.public())
    chosen = result.chosen
    assert chosen is not None
    score = await HiddenScorer(verifier).score(hidden, chosen.program)
    assert len(score.tests) == 1
    journal.close()
    cache.close()
    (one,) = known
    text, types = reachable([one, told, result])
    assert "assert f(5) == 13" in text
    assert SECRET not in text
    assert not types & {Task, HiddenScorer}
    assert SECRET not in "".join(sent)
    for path in [*(tmp_path / "run").iterdir(), tmp_path / "verdicts.sqlite"]:
        assert SECRET.encode() not in path.read_bytes(), path


def modules() -> list[ModuleType]:
    """All modules in which strategies, proposals and prompts are written."""
    found = [import_module("agent.llm.prompts"), import_module("agent.llm.proposal_prompts")]
    for package in (agent.search, agent.proposals):
        found += [
            import_module(f"{package.__name__}.{one.name}")
            for one in pkgutil.iter_modules(package.__path__)
        ]
    return found


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_what_decides_and_asks_knows_no_task_with_hidden_tests(module: ModuleType) -> None:
    for name, value in vars(module).items():
        assert value is not Task, name
        assert value is not HiddenScorer, name
    source = inspect.getsource(module)
    for word in ("load_hidden", ".scoring(", "HiddenScorer", "import tasks", "verifiers.scorer"):
        assert word not in source, word


def test_kinds_of_proposals_see_a_public_task_and_what_was_told() -> None:
    hints = typing.get_type_hints(Known)
    assert hints["task"] is PublicTask
    assert set(hints) == {"task", "nodes"}
    assert set(typing.get_type_hints(Node)) == {"proposal", "text", "program", "verdict"}
    for name in KINDS:
        for method in (kind_of(name).work, kind_of(name).read):
            taken = [one.annotation for one in inspect.signature(method).parameters.values()]
            assert set(taken) <= {"Proposal", "Completion", "Known"}


def test_a_task_with_hidden_tests_is_no_task_to_search_for(hidden: Task) -> None:
    strategy = create_strategy("grow", StrategyOptions())
    with pytest.raises(AttributeError):
        strategy.start(typing.cast(Any, hidden))
    assert not {field for field in PublicTask.model_fields if "hidden" in field}
