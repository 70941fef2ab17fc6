"""What a hack and a control are, and where all of them are found.

A family is a module of this folder that has lists `HACKS`, `CONTROLS` or `GAPS`. A hack is
a wrong program that tries to be taken for a right one, to get out, or to take more than its share;
it must never pass. A control is a right program in unusual dress; it must always pass. A gap is a
wrong program that does pass, where the documentation says so: it keeps the documentation true.

In a program, `@MARK@` stands for a word that is made up for each run. Whatever a hack plants,
starts or binds has it in its name, so that the host can be searched for it. `@CANARY@` stands for
the path of a file of the host that everybody may write.
"""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from sandbox.base import Sandbox
from sandbox.jobs import Job, Limits
from sandbox.outcome import Outcome
from verifiers.literal import script_of
from verifiers.repository import File, RepositoryVerifier, Snapshot, SuiteOptions
from verifiers.verdict import Verdict, from_report

BACKENDS = ("local", "docker")
_NOT_FAMILIES = frozenset({"catalogue", "conftest", "table"})
_NEVER = frozenset({Outcome.PASSED, Outcome.INFRA})
SHORT: Mapping[str, Any] = {"cpu_seconds": 1, "wall_seconds": 2, "judge_seconds": 10}
"""Limits of every hack and control that names none of its own."""
_PATIENT: Mapping[str, Any] = {"cpu_seconds": 4, "wall_seconds": 20}
"""And of those that end by themselves: a busy machine must not make them time out."""


def asserts(source: str, function: str | None = None) -> dict[str, Any]:
    """Assert-style tests, as `tasks.model` dumps them."""
    return {
        "kind": "asserts",
        "source": textwrap.dedent(source),
        "function": function,
        "filename": "tests.py",
        "weights": {},
    }


def pytest_file(source: str) -> dict[str, Any]:
    """A pytest file, as `tasks.model` dumps it."""
    return {
        "kind": "pytest",
        "source": textwrap.dedent(source),
        "filename": "test_solution.py",
        "weights": {},
    }


def stdio(*cases: tuple[str, str]) -> dict[str, Any]:
    """Cases of a program, each standard input and expected output."""
    return {
        "kind": "stdio",
        "cases": [
            {"name": f"case {number}", "stdin": given, "stdout": out, "args": [], "weight": 1.0}
            for number, (given, out) in enumerate(cases)
        ],
    }


@dataclass(frozen=True, kw_only=True)
class Exam:
    """A small task: what is asked, by which tests, with a right and a wrong answer to it."""

    tests: tuple[dict[str, Any], ...]
    entry_point: str = "f"
    kind: Literal["function", "class", "program"] = "function"
    prelude: str = ""
    mutates: bool = False
    language: str = "python"
    right: str = ""
    """A plain program that passes; it is run after each hack on this exam."""
    wrong: str = ""
    """A plain program that fails; it is run after each hack on this exam."""

    @property
    def script(self) -> str:
        """The tests as data, if they are nothing else."""
        if self.kind != "function" or any(test["kind"] != "asserts" for test in self.tests):
            return ""
        files = tuple((test["source"], test["function"]) for test in self.tests)
        return script_of(files, self.entry_point, "solution")

    def job(self, program: str, limits: Mapping[str, Any], *, as_data: bool = False) -> Job:
        """The job that judges a program by this exam; `as_data` needs a `script`."""
        return Job(
            program=textwrap.dedent(program).strip("\n") + "\n",
            tests=self.tests,
            prelude=textwrap.dedent(self.prelude),
            entry_point=self.entry_point,
            kind=self.kind,
            language=self.language,
            mutates=self.mutates,
            limits=Limits(**{**SHORT, **limits}),
            script=self.script if as_data else "",
        )

    async def judge(
        self,
        sandbox: Sandbox,
        program: str,
        limits: Mapping[str, Any],
        files: Mapping[str, str],
        *,
        as_data: bool = False,
    ) -> Verdict:
        """The verdict on a program by this exam."""
        report = await sandbox.run(self.job(program, limits, as_data=as_data))
        return from_report(report, (), reduced=sandbox.reduced)


@dataclass(frozen=True, kw_only=True)
class Suite(Exam):
    """A small repository; the program is the new text of one of its files.

    Attributes:
        files: of the repository, each with its text.
        path: of the file that the program is put into.
        expected: ids of the tests that must pass.
        fresh: whether the verdict is a final one, with traps.
    """

    tests: tuple[dict[str, Any], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    path: str = "src/calc/core.py"
    expected: tuple[str, ...] = ()
    fresh: bool = False

    async def judge(
        self,
        sandbox: Sandbox,
        program: str,
        limits: Mapping[str, Any],
        files: Mapping[str, str],
        *,
        as_data: bool = False,
    ) -> Verdict:
        """The verdict on the patch that puts the program, and `files`, into the repository."""
        texts = {path: textwrap.dedent(text).lstrip("\n") for path, text in self.files.items()}
        snapshot = Snapshot(
            files={path: File(content=text.encode()) for path, text in texts.items()}
        )
        options = SuiteOptions(limits=Limits(**{**SUITE_LIMITS, **limits}))
        patch = {path: textwrap.dedent(text) for path, text in files.items()}
        if program:
            patch[self.path] = textwrap.dedent(program)
        return await RepositoryVerifier(sandbox, snapshot, options).verify(
            patch, fail_to_pass=self.expected, fresh=self.fresh
        )


SUITE_LIMITS: Mapping[str, Any] = {"cpu_seconds": 20, "wall_seconds": 60, "pids": 64}
"""Limits of a repository's suite, in place of `SHORT`: starting pytest alone takes a second."""

ADDS_ONE = Exam(
    tests=(
        asserts(
            """
            def check(candidate):
                assert candidate(2) == 3
                assert candidate(5) == 6
            """,
            "check",
        ),
    ),
    right="def f(x): return x + 1",
    wrong="def f(x): return 3",
)
"""A function `f` that adds one to an integer."""

ADDS_ONE_PROPERTY = Exam(
    tests=(
        pytest_file(
            """
            from hypothesis import given, settings, strategies as st
            from solution import f

            def test_two():
                assert f(2) == 3

            @settings(max_examples=20)
            @given(st.integers())
            def test_any(x):
                assert f(x) == x + 1
            """
        ),
    ),
    right=ADDS_ONE.right,
    wrong=ADDS_ONE.wrong,
)
"""The same, by a pytest file with a property."""

ADDS_ONE_STDIO = Exam(
    tests=(stdio(("3\n", "4\n"), ("10\n", "11\n")),),
    entry_point="",
    kind="program",
    right="print(int(input()) + 1)",
    wrong="print(4)",
)
"""The same, by a Python program on standard input and output."""

ADDS_ONE_SHELL = Exam(
    tests=ADDS_ONE_STDIO.tests,
    entry_point="",
    kind="program",
    language="bash",
    right="read x\necho $((x + 1))",
    wrong="echo 4",
)
"""The same, by a shell script."""

SORTS = Exam(
    tests=(
        asserts(
            """
            def check(candidate):
                assert candidate([3, 1, 2]) == [1, 2, 3]
                assert candidate([]) == []
                assert candidate([5, 5, -1]) == [-1, 5, 5]
            """,
            "check",
        ),
    ),
    right="def f(items): return sorted(items)",
    wrong="def f(items): return []",
)
"""A function `f` that returns a sorted list and leaves its argument alone."""

STACK = Exam(
    tests=(
        asserts(
            """
            s = Stack()
            assert len(s) == 0
            assert not s
            s.push(3)
            s.push(4)
            assert len(s) == 2
            assert s.pop() == 4
            assert 3 in s
            assert 4 not in s
            assert list(s) == [3]
            assert s.peek() > 2
            assert s == s
            assert s != Stack()
            assert s != [3]
            assert isinstance(s, Stack)
            """
        ),
    ),
    entry_point="Stack",
    kind="class",
    right="""
        class Stack:
            def __init__(self): self.items = []
            def push(self, item): self.items.append(item)
            def pop(self): return self.items.pop()
            def peek(self): return self.items[-1]
            def __len__(self): return len(self.items)
            def __iter__(self): return iter(self.items)
            def __eq__(self, other): return isinstance(other, Stack) and self.items == other.items
        """,
    wrong="""
        class Stack:
            def push(self, item): pass
            def pop(self): return 4
            def __len__(self): return 0
        """,
)
"""A class `Stack` with push, pop, peek, len, iteration and equality."""


@dataclass(frozen=True, kw_only=True)
class Hack:
    """A wrong program that must not pass.

    Attributes:
        name: unique in its family; words, no spaces at the ends.
        idea: what it hopes for, in a line.
        program: its source, indented as you like.
        outcomes: how it must end. Never `passed` and never `infra`.
        exam: what it is judged by.
        limits: in place of `SHORT`, one by one.
        backends: where it is run.
        never_says: texts that its output must not have.
        traces: texts besides the mark that no process's command, no name of a file or socket
            and no container of the host may have afterwards.
        files: further files of a patch to a repository.
    """

    name: str
    idea: str
    program: str
    outcomes: frozenset[Outcome]
    exam: Exam = ADDS_ONE
    limits: Mapping[str, Any] = field(default_factory=dict)
    backends: tuple[str, ...] = BACKENDS
    never_says: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.outcomes or self.outcomes & _NEVER:
            raise ValueError(f"{self.name}: a hack names its outcomes, and passes by none of them")


@dataclass(frozen=True, kw_only=True)
class Control:
    """A right program in unusual dress, which must pass.

    Attributes:
        name: unique in its family.
        idea: what is unusual about it, in a line.
        program: its source, indented as you like.
        exam: what it is judged by.
        limits: in place of `SHORT`, one by one.
        backends: where it is run.
        needs: a module that the image or machine must have; skipped where it hasn't.
        files: further files of a patch to a repository.
    """

    name: str
    idea: str
    program: str
    exam: Exam = ADDS_ONE
    limits: Mapping[str, Any] = field(default_factory=dict)
    backends: tuple[str, ...] = BACKENDS
    needs: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


class Gap(Control):
    """A wrong program that passes, as the documentation says that it would."""


Entry = Hack | Control


def ends(*names: str) -> frozenset[Outcome]:
    """A set of outcomes by their names."""
    return frozenset(Outcome(name) for name in names)


def text_of(entry: Entry, *, mark: str, canary: str) -> str:
    """An entry's program, its placeholders filled in."""
    return entry.program.replace("@MARK@", mark).replace("@CANARY@", canary)


def job_of(entry: Entry, *, mark: str, canary: str) -> Job:
    """The job that an entry's program makes, its placeholders filled in."""
    return entry.exam.job(text_of(entry, mark=mark, canary=canary), limits_of(entry))


def limits_of(entry: Entry) -> Mapping[str, Any]:
    """An entry's limits; patient ones where it can't end as a timeout."""
    return entry.limits if waits(entry) else {**_PATIENT, **entry.limits}


def waits(entry: Entry) -> bool:
    """Whether an entry can end as a timeout."""
    return isinstance(entry, Hack) and Outcome.TIMEOUT in entry.outcomes


def plain_job(exam: Exam, program: str) -> Job:
    """The job of an exam's own right or wrong program."""
    return exam.job(program, _PATIENT)


def plain_limits() -> Mapping[str, Any]:
    """Limits of an exam's own right or wrong program."""
    return _PATIENT


def families() -> dict[str, tuple[Entry, ...]]:
    """Every family by its name, hacks first, gaps last."""
    found: dict[str, tuple[Entry, ...]] = {}
    for name, module in _modules():
        entries: tuple[Entry, ...] = (
            *getattr(module, "HACKS", ()),
            *getattr(module, "CONTROLS", ()),
            *getattr(module, "GAPS", ()),
        )
        names = [entry.name for entry in entries]
        if len(set(names)) != len(names):
            raise ValueError(f"{name}: two entries have the same name")
        if entries:
            found[name] = entries
    return found


def _modules() -> Iterator[tuple[str, ModuleType]]:
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in _NOT_FAMILIES and not path.stem.startswith("test_"):
            yield path.stem, importlib.import_module(f"tests.hacks.{path.stem}")
