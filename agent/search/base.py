"""The ask/tell protocol: a strategy is a stateless algorithm over a serialisable state.

`ask` proposes work, `tell` takes in what became of it; both return a new state. Whatever runs,
pays, cancels, records and resumes is the loop's business. The shape follows treequest's
`algos/base.py` (Sakana AI, 2025).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from agent.reward.model import RewardModel
from agent.routing.profile import Profile
from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.verdict import Verdict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

OptionValue = bool | int | float | str


class StrategyOptions(_Frozen):
    """What a user can set of any strategy; each takes what concerns it.

    Attributes:
        n: samples at the most.
        temperature: sampling temperature.
        exhaustive: go on after a verified pass, to measure.
        seed: of what a strategy draws by lot.
        edits: free edits of each promising program; none where a strategy has to go on after a
            pass, since then the independent samples are what counts.
        repairs: whether the model can answer to feedback; a recorded bank can't.
        profile: how tasks are routed, for strategies that route.
        reward: what groups of programs are worth, for strategies that let them vote; unset: their
            size.
        own: options of the one strategy, by name; see `agent.search.options`.
    """

    n: int = Field(default=10, ge=1)
    temperature: float = Field(default=0.8, ge=0)
    exhaustive: bool = False
    seed: int = 0
    edits: int = Field(default=0, ge=0)
    repairs: bool = True
    profile: Profile = Field(default_factory=Profile)
    reward: RewardModel | None = None
    own: Mapping[str, OptionValue] = Field(default_factory=dict)


class Proposal(_Frozen):
    """One piece of work: one completion to draw, or one edit that asks no model.

    What is asked for is decided by the kind (`agent.proposals`), which looks up the texts and
    programs of the proposals that this one names. Only such may be named as have been told.

    Attributes:
        index: the sample's number within its task, from 0, never used twice.
        kind: what to ask for, by its name in the registry; a fresh sample of the whole program.
        temperature: sampling temperature.
        parent: the proposal that this one goes on from: what is repaired, coded or completed.
        uses: further proposals whose outcome it needs.
        step: which part of a program is meant, for kinds that write parts; for edits, which edit.
        group: which of a strategy's independent groups or rounds it belongs to.
        free: asks no model, so it isn't counted among the samples.
        tier: which model of a cascade is asked, from 0.
        serial: the sample's number at its model, by which a recorded bank serves; `None` where
            that is the index, as without a cascade.
        thinking: tokens that may be thought besides, where that is not as the settings say.
        draw: its number among those that ask the model, if free ones stand between; a search with
            free edits so draws the very samples that one without them draws.
    """

    index: int
    kind: str = "sample"
    temperature: float = 0.8
    parent: int | None = None
    uses: tuple[int, ...] = ()
    step: int = 0
    group: int = 0
    free: bool = False
    tier: int = 0
    serial: int | None = None
    thinking: int | None = None
    draw: int | None = None

    @property
    def number(self) -> int:
        """Which of the model's samples it is."""
        return self.index if self.draw is None else self.draw


class PieceVerdict(Verdict):
    """The verdict on what is no whole program yet: a plan, a helper, a program with gaps.

    Its outcome and reward are the piece's own. It never counts as a pass of the task, and a piece
    is never returned.

    Attributes:
        left: pieces that have to be written after this one.
    """

    left: int = 0

    @property
    def passed(self) -> bool:
        """Never: the task's tests want a whole program."""
        return False


class Seen(_Frozen):
    """What a strategy remembers of a proposal it was told of.

    Attributes:
        index: of the proposal, as are kind, parent, uses, step and group.
        passed: whether it is a whole program that passed every visible test.
        reward: partial pass rate, of a piece by its own tests.
        runs: whether it at least got as far as being asked something.
        whole: whether it is a whole program, which could be returned.
        good: whether all went well, for a piece by its own tests.
        left: pieces that have to be written after this one.
        behaviour: a digest of what the tests saw it do; two programs of the same behaviour
            differ at most in what no visible test looks at.
    """

    index: int
    passed: bool
    reward: float
    runs: bool
    kind: str = "sample"
    parent: int | None = None
    uses: tuple[int, ...] = ()
    step: int = 0
    group: int = 0
    whole: bool = True
    good: bool = False
    left: int = 0
    behaviour: str = ""


class SearchState(_Frozen):
    """The state that every strategy has; strategies may add to it."""

    asked: int = 0
    seen: tuple[Seen, ...] = ()
    exhausted: bool = False
    """The model's bank or the budget is at its end: nothing that asks a model may be proposed."""

    @property
    def confidence(self) -> float | None:
        """The probability that `best` is right by tests that nobody here has seen, if known."""
        return None

    @property
    def ending(self) -> str:
        """Why the search is over, in a word of its own; empty where the usual words will do."""
        return ""

    @property
    def best(self) -> Seen | None:
        """The candidate to return: passed before reward before running before the first."""
        whole = [one for one in self.seen if one.whole]
        if not whole:
            return None
        return max(whole, key=lambda one: (one.passed, one.reward, one.runs, -one.index))


State = TypeVar("State", bound=SearchState)


class Strategy(Protocol[State]):
    """A search algorithm.

    The loop asks until nothing more is proposed, tells the next verdict, asks again, and so on,
    however many proposals are really being worked on at a time. So what a strategy proposes is a
    function of the verdicts alone, and a run can be resumed with another concurrency. How far it
    proposes ahead of the verdicts is a strategy's own decision.
    """

    @property
    def name(self) -> str:
        """The name under which it is registered."""
        ...

    def start(self, task: PublicTask) -> State:
        """The state before anything was proposed. The task has no hidden tests in it."""
        ...

    def ask(self, state: State, k: int) -> tuple[State, tuple[Proposal, ...]]:
        """Up to `k` proposals; none when there is nothing to do before more is told."""
        ...

    def tell(self, state: State, proposal: Proposal, verdict: Verdict) -> State:
        """Takes in a verdict. Called in the order of the proposals' indices."""
        ...

    def finished(self, state: State) -> bool:
        """Whether the search is over, so that work under way can be cancelled."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A strategy that wants programs judged by more than the task has, such as by probes."""

    def prepared(self, task: PublicTask) -> PublicTask:
        """The task as it is to be judged. Nothing is executed to make it."""
        ...


def prepared(strategy: object, task: PublicTask) -> PublicTask:
    """The task as a strategy wants it judged."""
    return strategy.prepared(task) if isinstance(strategy, Preparing) else task


@runtime_checkable
class GivesUp(Protocol):
    """A strategy that may end with samples left, since nothing suggests that they would help."""

    def gave_up(self, state: Any) -> bool:
        """Whether it has."""
        ...


def seen(proposal: Proposal, verdict: Verdict) -> Seen:
    """What to remember of one verdict."""
    imported = all(test.name != "import" for test in verdict.tests)
    piece = isinstance(verdict, PieceVerdict)
    return Seen(
        index=proposal.index,
        passed=verdict.passed,
        reward=verdict.reward,
        # without a test in the verdict, only a failed run says that there was one
        runs=imported and (bool(verdict.tests) or verdict.outcome is Outcome.FAILED),
        kind=proposal.kind,
        parent=proposal.parent,
        uses=proposal.uses,
        step=proposal.step,
        group=proposal.group,
        whole=not piece,
        good=verdict.outcome is Outcome.PASSED,
        left=verdict.left if isinstance(verdict, PieceVerdict) else 0,
        behaviour=behaviour(verdict),
    )


def behaviour(verdict: Verdict) -> str:
    """A digest of what the tests saw: each outcome with what was got, or what ended the run.

    Where there were probes, what they saw belongs to it.

    Only the first line of a detail counts: below it stand the program's own lines, and two
    programs may raise the same error in different places.
    """
    told = [(test.name, test.outcome, _first_line(test.detail)) for test in verdict.tests]
    if verdict.probes:
        text = json.dumps([told, [probe.answer for probe in verdict.probes]])
    else:
        text = json.dumps(told or [verdict.outcome, _first_line(verdict.detail)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def without_addresses(text: str) -> str:
    """A text without addresses of objects, which differ from run to run."""
    return _ADDRESS.sub("", text)


def _first_line(text: str) -> str:
    return without_addresses(text.split("\n", 1)[0])
