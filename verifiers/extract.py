"""Finds the program in what a model answered.

Chat answers hold prose, thinking, several blocks, sample calls and cut-off tails; the judge wants
one module that defines the entry point. Pieces are collected, those that parse are weighed, and
what the chosen one lacks is taken from the other pieces and from the task's own stub.
"""

from __future__ import annotations

import ast
import re
from functools import cached_property

from tasks.model import PublicTask
from verifiers.fences import split_fences, split_thought
from verifiers.snippets import bodies, body_indent, clean, code_runs, drop_tail, repairs
from verifiers.statements import completes, is_demo, needed, strip_demos, without
from verifiers.syntax import Module, Workbench

_PYTHON = frozenset(
    {"", "python", "python2", "python3", "py", "py3", "ipython", "ipython3", "pycon", "python-repl"}
)
_ALIASES = (
    _PYTHON - {""},
    {"javascript", "js", "node", "nodejs", "mjs"},
    {"typescript", "ts"},
    {"bash", "sh", "shell", "zsh", "console"},
    {"c++", "cpp", "cc", "cxx"},
    {"c#", "csharp", "cs"},
    {"go", "golang"},
    {"rust", "rs"},
    {"ruby", "rb"},
)
_NO_PROGRAM = frozenset({"text", "txt", "output", "plaintext", "markdown", "md", "diff"})

# Marks that a chat template leaves at the end of an answer.
_END_MARK = re.compile(r"(?:<\|[\w▁-]{1,40}\|>|</s>|<eos>|<end_of_turn>)\Z")
_FUTURE = re.compile(r"(?m)^from __future__ import [^(\\\n;]*$\n?")
_FIRST_CODE = re.compile(r"(?m)^[ \t]*(?:(?:async[ \t]+)?def|class|from|import)[ \t]+\w|^[ \t]*@\w")


def join_completion(prompt: str, completion: str) -> str:
    """The program of a completion that continues its prompt verbatim."""
    return prompt + completion


def extract_program(answer: str, task: PublicTask) -> str:
    """The program in a chat answer.

    For a Python function or class this is one module: the last complete definition of the entry
    point, the answer's other blocks that it relies on, and what it uses of the prompt's own
    imports and helpers; without prose, thinking, sample calls and an unfinished tail. Otherwise it
    is the longest block in the task's language, else the whole text.

    Args:
        answer: what the model wrote.
        task: names the language and entry point; its prompt and `start` are borrowed from.

    Returns:
        The program, or where none is to be found the likeliest part of the answer, for the gate
        to say what is wrong with it. Never longer than answer, prompt and start together, but for
        a few line ends and indentation.
    """
    text = answer.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    visible, thought = split_thought(_without_end_marks(text))
    name = task.entry_point.partition(".")[0]
    language = task.language.strip().lower()
    if language not in _PYTHON or task.entry_kind == "program" or not name:
        return _whole_block(visible if visible.strip() else thought, language)
    said = _Answer(visible, task, name, Workbench())
    found = said.program() or said.continuation()
    if found is None and not said.mentions_definition:
        # Nothing else exists: what was only thought is better than nothing.
        mused = _Answer(thought, task, name, Workbench())
        found = mused.program() or mused.continuation()
        if found is None and not visible.strip():
            return mused.likeliest()
    return found or said.stub_or_likeliest()


def _without_end_marks(text: str) -> str:
    for _ in range(4):
        bare = text.rstrip()
        mark = _END_MARK.search(bare, max(0, len(bare) - 64))
        if mark is None:
            break
        text = bare[: mark.start()]
    return text


class _Answer:
    """One text with, perhaps, a program in it.

    Args:
        text: the answer, without thinking.
        task: what it answers.
        name: the name that the program must bind.
        bench: parses for us, within its budget.
    """

    def __init__(self, text: str, task: PublicTask, name: str, bench: Workbench) -> None:
        self._text = text
        self._task = task
        self._name = name
        self._bench = bench
        definition = rf"(?m)^[ \t]*(?:>>> )?(?:(?:async[ \t]+)?def|class)[ \t]+{re.escape(name)}\b"
        self._definition = re.compile(definition)

    @property
    def mentions_definition(self) -> bool:
        """Whether some line starts to define the entry point, in whatever state."""
        return self._definition.search(self._text) is not None

    @cached_property
    def _fences(self) -> tuple[list[str], list[str]]:
        """The blocks that are or may be Python, and those in other languages."""
        fences = split_fences(self._text, self._accepts)
        python = [fence.text for fence in fences if fence.language in _PYTHON]
        return python, [fence.text for fence in fences if fence.language not in _PYTHON]

    def _accepts(self, text: str, language: str) -> bool:
        return language in _PYTHON and self._bench.module(clean(text)) is not None

    @cached_property
    def _modules(self) -> list[Module]:
        """Every piece that parses, in the answer's order; less likely places only at need."""
        python, others = self._fences
        modules = [module for text in python for module in self._read(text)]
        # A stub in one block and its body in the next; then mislabelled blocks; then no block.
        for texts in (["\n".join(python)], others, [self._text]):
            if not any(completes(module, self._name) for module in modules):
                modules += [module for text in texts for module in self._read(text)]
        return modules

    def _read(self, text: str) -> list[Module]:
        variants = list(repairs(text))
        for variant in variants:
            if (module := self._bench.module(variant)) is not None:
                return [module]
        runs: list[Module] = []
        for variant in variants:
            if (module := drop_tail(variant, self._name, self._bench)) is not None:
                return [module]
            runs = code_runs(variant, self._bench)
            if any(self._name in module.binds for module in runs):
                return runs
        return runs

    def program(self) -> str | None:
        """The module around the last complete definition of the entry point, if there is one."""
        complete = [m for m in self._modules if completes(m, self._name)]
        return self._assemble(complete[-1]) if complete else None

    def continuation(self) -> str | None:
        """The prompt's stub with a bare function body that the answer gives, if it does."""
        stub = self._stub
        if stub is None or self.mentions_definition:
            return None
        for piece in self._fences[0] or [self._text]:
            for body in bodies(piece, body_indent(stub)):
                module = self._bench.module(stub.rstrip() + "\n" + body.rstrip() + "\n")
                if module is not None and self._has_real_body(module):
                    return strip_demos(module, self._name, self._bench).source
        return None

    def stub_or_likeliest(self) -> str:
        """A definition without a body or an import of the entry point; else as `likeliest`."""
        weak = [module for module in self._modules if self._name in module.binds]
        return self._assemble(weak[-1]) if weak else self.likeliest()

    def likeliest(self) -> str:
        """The part that is most probably meant to be the program, though it isn't one."""
        python, others = self._fences
        pieces = python or others
        defining = [text for text in pieces if self._definition.search(text)]
        if defining:
            return clean(defining[-1])
        if pieces:
            return clean(max(pieces, key=len))
        start = _FIRST_CODE.search(self._text)
        return clean(self._text[start.start() :] if start else self._text)

    @cached_property
    def _stub(self) -> str | None:
        """The prompt's code, if it ends with the definition that is to be completed."""
        blocks = split_fences(self._task.prompt, lambda text, language: False)
        for source in (self._task.prompt, *(block.text for block in blocks)):
            source = source.replace("\r\n", "\n").rstrip() + "\n"
            module = self._bench.module(source + body_indent(source) + "pass\n")
            if module is not None and module.tree.body:
                last = module.tree.body[-1]
                if getattr(last, "name", None) == self._name:
                    return source
        return None

    def _has_real_body(self, module: Module) -> bool:
        for statement in module.tree.body:
            if (
                isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
                and statement.name == self._name
            ):
                body = statement.body
                words = (isinstance(p, ast.Expr) and isinstance(p.value, ast.Name) for p in body)
                return not any(words) and any(self._is_effective(part) for part in body)
        return False

    def _is_effective(self, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Expr):
            # A sentence may parse as a name; a call does something, unless it is a sample call.
            return isinstance(statement.value, ast.Call) and not is_demo(statement, self._name)
        idle = ast.Pass | ast.Assert | ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
        return not isinstance(statement, idle)

    def _assemble(self, chosen: Module) -> str:
        """The chosen module, after the other blocks it relies on and what the prompt lends."""
        main = strip_demos(chosen, self._name, self._bench)
        missing = main.needs
        others = [module for module in self._modules if module is not chosen]
        taken: list[int] = []
        grows = True
        while grows and missing:
            grows = False
            for row in reversed(range(len(others))):
                if row not in taken and others[row].binds & missing:
                    taken.append(row)
                    bound = frozenset().union(main.binds, *(others[r].binds for r in taken))
                    missing = (missing | others[row].needs) - bound
                    grows = True
        parts = [self._as_helper(others[row]) for row in sorted(taken)]
        for source in (self._stub, self._task.prompt, self._task.start):
            lender = self._lender(source or "")
            if lender is None or not missing:
                continue
            parts.insert(0, needed(lender, missing, self._name))
            missing -= lender.binds
        return self._join([part for part in parts if part.strip()], main.source)

    def _as_helper(self, module: Module) -> str:
        unwanted = [
            statement
            for statement in module.tree.body
            if is_demo(statement, self._name) or getattr(statement, "name", None) == self._name
        ]
        return without(module, unwanted) if unwanted else module.source

    def _lender(self, source: str) -> Module | None:
        source = source.replace("\r\n", "\n").rstrip() + "\n"
        module = self._bench.module(source)
        return module or self._bench.module(source + body_indent(source) + "pass\n")

    def _join(self, parts: list[str], main: str) -> str:
        if not parts:
            return main
        text = "\n\n".join([*(part.strip("\n") for part in parts), main])
        if self._bench.module(text) is None:
            # `from __future__` only stands at the very top.
            text = "".join(dict.fromkeys(_FUTURE.findall(text))) + _FUTURE.sub("", text)
        return text if self._bench.module(text) is not None else main


def _whole_block(text: str, language: str) -> str:
    """The longest block in the language, else the longest without one, else the whole text."""
    names = next((names for names in _ALIASES if language in names), frozenset({language}))
    bench = Workbench()
    python = "python" in names

    def accepts(block: str, label: str) -> bool:
        return python and label in _PYTHON and bench.module(clean(block)) is not None

    fences = [fence for fence in split_fences(text, accepts) if fence.text.strip()]
    groups = (
        [fence.text for fence in fences if fence.language in names],
        [fence.text for fence in fences if not fence.language],
        [fence.text for fence in fences if fence.language not in _NO_PROGRAM],
    )
    group: list[str] = next((group for group in groups if group), [])
    best = max(group, key=len) if group else None
    if not python:
        return text if best is None else best.strip("\n") + "\n"
    for variant in repairs(text if best is None else best):
        if bench.module(variant) is not None:
            return variant
    if best is None and (runs := code_runs(clean(text), bench)):
        longest = max((run.source for run in runs), key=len)
        # Only where nothing else looks like code is the rest mere prose.
        if not _FIRST_CODE.search(text.replace(longest.rstrip(), "")):
            return longest
    return clean(text if best is None else best)
