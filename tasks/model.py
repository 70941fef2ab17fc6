"""The task: what is asked for, which tests the search may see, and which only score.

`PublicTask` has no field for hidden tests, so whatever is built from it cannot reach them. `Task`
wraps one together with a loader that reads the hidden tests from their source when the score is
taken, after the search has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class TaskError(Exception):
    """A task or suite that can't be read. The message is one line that names file and line."""


class UnknownTaskError(TaskError):
    """A suite or task id that doesn't exist. The message lists near or known names."""


class Protocol(StrEnum):
    """Which tests a search may see.

    GIVEN: all tests are part of the request, as in CI.
    HIDDEN: only the visible tests; hidden tests score the chosen program.
    """

    GIVEN = "given"
    HIDDEN = "hidden"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AssertTests(_Frozen):
    """Python source whose `assert` statements are the tests, one result per place in the code.

    With `function`, that function is called with the candidate as its only argument (HumanEval's
    `check(candidate)`); otherwise the top level is run with the entry point bound by name.
    """

    kind: Literal["asserts"] = "asserts"
    source: str
    derived: bool = False
    """Taken out of the docstring: in the prompt already, and only used where nothing better is."""
    function: str | None = None
    filename: str = "tests.py"
    weights: Mapping[str, float] = Field(default_factory=dict)


class PytestTests(_Frozen):
    """A pytest or unittest file, one result per test function (and per parameter set).

    The file imports the solution as any test would (`from MODULE import f`); see `Task.module`.
    Hypothesis properties are run with the job's seed and without a database.
    """

    kind: Literal["pytest"] = "pytest"
    source: str
    filename: str = "test_solution.py"
    weights: Mapping[str, float] = Field(default_factory=dict)


class StdioCase(_Frozen):
    """One run of the program: `stdin` goes in, `stdout` is expected, trailing blanks aside."""

    name: str
    stdin: str = ""
    stdout: str
    args: tuple[str, ...] = ()
    weight: float = 1.0


class StdioTests(_Frozen):
    """Cases for a program that reads standard input and writes standard output."""

    kind: Literal["stdio"] = "stdio"
    cases: tuple[StdioCase, ...]


class ProbeTests(_Frozen):
    """Calls of the entry point that are made and only written down: no answer to them is wrong.

    They tell programs apart that pass the same tests. A verdict's outcome, reward and tests are
    the same with and without them.
    """

    kind: Literal["probes"] = "probes"
    calls: tuple[str, ...]
    """Python source such as `f([1, 2], 3)`, with literal arguments by position."""
    failures: bool = False
    """Whether they are made also of a program that fails a test."""


Tests = Annotated[AssertTests | PytestTests | StdioTests, Field(discriminator="kind")]


class TaskLimits(_Frozen):
    """What one run of a candidate may use; `None` leaves the sandbox's default.

    Units: seconds, MiB, counts. See `sandbox.Limits` for the meaning of each.
    """

    cpu_seconds: float | None = Field(default=None, gt=0)
    wall_seconds: float | None = Field(default=None, gt=0)
    memory_mb: int | None = Field(default=None, ge=16)
    pids: int | None = Field(default=None, ge=1)
    output_bytes: int | None = Field(default=None, ge=1)
    file_mb: int | None = Field(default=None, ge=0)


class PublicTask(_Frozen):
    """All that a search may know of a task.

    Attributes:
        id: unique in its suite, e.g. `HumanEval/23`.
        prompt: what the model is asked: a stub with docstring, or prose.
        entry_point: the function or class the tests call; empty for a program on stdin/stdout.
        entry_kind: `function`, `class` or `program`. Decides how the judge treats replies that
            are no builtin value, and is fixed before any candidate runs.
        module: the module name under which test files import the solution.
        language: a name such as `python`, `javascript`, `bash`.
        visible: tests that the search may see and run.
        probes: calls to write down the answers of, after the visible tests; functions only.
        scored_elsewhere: whether other tests than the visible ones decide the score.
        start: a program to begin from (a failing function to repair), or empty.
        limits: overrides of the sandbox's limits.
        mutates: whether in-place changes of arguments are part of the answer.
        requirements: pip requirements of the program, installed before the run, never during it.
        source: where the task was read from, for messages.
    """

    id: str
    prompt: str
    entry_point: str = ""
    entry_kind: Literal["function", "class", "program"] = "function"
    module: str = "solution"
    language: str = "python"
    visible: tuple[Tests, ...] = ()
    probes: ProbeTests | None = None
    scored_elsewhere: bool = False
    start: str = ""
    limits: TaskLimits = TaskLimits()
    mutates: bool = False
    requirements: tuple[str, ...] = ()
    source: str = ""

    @property
    def tests_decide(self) -> bool:
        """Whether a program that passes the visible tests is what was asked for.

        Tests that a user gives decide. A docstring's examples don't, and neither do visible tests
        where hidden ones score.
        """
        written = any(not getattr(test, "derived", False) for test in self.visible)
        return written and not self.scored_elsewhere


HiddenLoader = Callable[[], tuple[Tests, ...]]


class Task:
    """A public task and the way to its hidden tests.

    Args:
        public: all that a search may see.
        load_hidden: reads the hidden tests from their source; `None` where there are none.
        hidden_refused: why protocol `hidden` makes no sense here (e.g. the visible examples
            repeat every test), or empty.
    """

    def __init__(
        self,
        public: PublicTask,
        *,
        load_hidden: HiddenLoader | None = None,
        hidden_refused: str = "",
    ) -> None:
        self._public = public
        self._load_hidden = load_hidden
        self.hidden_refused = hidden_refused

    @property
    def id(self) -> str:
        """The task's id, unique in its suite."""
        return self._public.id

    @property
    def has_hidden(self) -> bool:
        """Whether there are tests for scoring that the search must not see."""
        return self._load_hidden is not None and not self.hidden_refused

    def public(self) -> PublicTask:
        """What a search may see under protocol `hidden`: no hidden test is in it."""
        if not self.has_hidden:
            return self._public
        return self._public.model_copy(update={"scored_elsewhere": True})

    def given(self) -> PublicTask:
        """What a search sees under protocol `given`: every test is part of the request."""
        return self._public.model_copy(update={"visible": self.all_tests()})

    def all_tests(self) -> tuple[Tests, ...]:
        """The visible and the hidden tests, without those taken out of a docstring if others exist.

        (A docstring's examples are sometimes wrong, and what was written as a test goes before.)
        """
        hidden = self._load_hidden() if self._load_hidden is not None else ()
        written = tuple(
            test for test in self._public.visible if not getattr(test, "derived", False)
        )
        return (*written, *hidden) or self._public.visible

    def scoring(self) -> tuple[Tests, ...]:
        """The tests that decide the score: the hidden ones, else the visible ones.

        Reads the hidden tests from their source; only a scorer calls this.
        """
        return self._load_hidden() if self._load_hidden is not None else self._public.visible

    def __repr__(self) -> str:
        return f"Task({self.id!r})"
