"""An open sandbox that a module's tests share, and a model whose answers a test decides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio
import pytest

from agent.budget import Budget, Ledger
from agent.llm.base import Completion, ModelRequest, Usage
from agent.loop import Confirm, Searcher
from agent.search.best_of_n import BestOfN
from sandbox.base import Sandbox
from sandbox.local import LocalSandbox
from tasks.model import AssertTests, PublicTask
from verifiers.cache import VerdictCache
from verifiers.verifier import Verifier

USAGE = Usage(tokens_in=10, tokens_out=20)


class ScriptedModel:
    """Answers by a function of the request, after a delay, and counts what it was asked.

    Args:
        answer: the text, or an error to raise.
        delay: seconds until the answer, by the request's index.
        usage: of every answer.
        kind: of every answer.
    """

    def __init__(
        self,
        answer: Callable[[ModelRequest], str | Exception],
        *,
        delay: Callable[[int], float] = lambda _index: 0.0,
        usage: Usage = USAGE,
        kind: Any = "chat",
    ) -> None:
        self._answer, self._delay, self._usage, self._kind = answer, delay, usage, kind
        self.requests: list[ModelRequest] = []
        self.under_way = 0
        self.most_under_way = 0
        self.cancelled = 0

    @property
    def name(self) -> str:
        return "scripted/1"

    async def complete(self, request: ModelRequest) -> Sequence[Completion]:
        self.requests.append(request)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await anyio.sleep(self._delay(request.index))
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        text = self._answer(request)
        if isinstance(text, Exception):
            raise text
        return [
            Completion(
                text=text,
                usage=self._usage,
                finish="stop",
                model=self.name,
                seconds=0.5,
                kind=self._kind,
            )
        ]

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """The embedded sandbox, with two slots."""
    async with LocalSandbox(slots=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def verifier(sandbox: Sandbox) -> Verifier:
    """Over that sandbox, with a cache that lives as long."""
    return Verifier(sandbox, cache=VerdictCache())


@pytest.fixture(scope="session")
def scripted() -> type[ScriptedModel]:
    """Makes a scripted model."""
    return ScriptedModel


@pytest.fixture(scope="session")
def task() -> PublicTask:
    """A function that adds one, with three assertions."""
    return PublicTask(
        id="T/1",
        prompt='def f(x):\n    """One more than x."""\n',
        entry_point="f",
        visible=(AssertTests(source="assert f(1) == 2\nassert f(5) == 6\nassert f(0) == 1\n"),),
    )


@pytest.fixture(scope="module")
def searcher(verifier: Verifier) -> Callable[..., Searcher]:
    """Makes a searcher: best of 10, no limit, no second verdict, unless told otherwise."""

    def make(model: Any, *, n: int = 10, exhaustive: bool = False, **fields: Any) -> Searcher:
        given: dict[str, Any] = {
            "strategy": BestOfN(n=n, exhaustive=exhaustive),
            "ledger": Ledger(Budget()),
            "verifier": verifier,
            "confirm": Confirm.NONE,
            **fields,
        }
        return Searcher(model=model, **given)

    return make
