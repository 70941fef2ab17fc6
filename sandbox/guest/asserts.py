"""Runs assert-style tests so that each `assert` is a result and one failure doesn't end the rest.

The source is rewritten before it runs: every `assert` becomes a recorded check, and every
statement of the top level and of the check function is guarded, so that what follows still runs.
An assertion counts only if it consults the candidate: it calls it while it is evaluated, or names
a value that came from it. A loop counts once for each place in the code.
"""

from __future__ import annotations

import ast
import linecache
import operator
import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .handles import same

_RECORDER = "__regreen_recorder__"
_ERROR = "__regreen_error__"
_MADE = "_made_by_regreen"
_UNGUARDED = (
    ast.Return,
    ast.Global,
    ast.Nonlocal,
    ast.Pass,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)
_TEXT_LIMIT = 400
_NO_WORD = (0, 0)
_SIDE_LIMIT = 300

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "is": same,
    "is not": lambda left, right: not same(left, right),
    "in": lambda left, right: left in right,
    "not in": lambda left, right: left not in right,
}
_SIGNS: dict[type[ast.cmpop], str] = dict(
    zip(
        (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn),
        _COMPARISONS,
        strict=True,
    )
)
_WORDS = {sign: "" if sign == "==" else f"{sign} " for sign in _COMPARISONS}


@dataclass(slots=True)
class Place:
    """One `assert` in the code and what became of it."""

    line: int
    text: str
    tainted: bool
    runs: int = 0
    consulted: bool = False
    vouched: bool | None = None
    """Whether each time it rested on nothing but the word of the candidate's own objects."""
    outcome: str = ""
    detail: str = ""

    @property
    def counts(self) -> bool:
        """Whether its outcome says anything of the candidate."""
        return self.consulted or self.tainted


@dataclass(slots=True)
class Recorder:
    """Collects what the rewritten statements report.

    Args:
        calls: how often the candidate has been asked so far.
        explain: outcome and detail for an exception that a test ended with.
    """

    calls: Callable[[], int]
    explain: Callable[[BaseException], tuple[str, str]]
    places: list[Place] = field(default_factory=list)
    errors: list[tuple[int, str, str]] = field(default_factory=list)
    """Statements that raised, as line, outcome and detail."""
    word: Callable[[], tuple[int, int]] | None = None
    """How often an object's word was taken, and how many values arrived; in tests of a class."""
    _before: list[tuple[int, tuple[int, int]]] = field(default_factory=list)
    _sides: tuple[str, Any, Any] | None = None

    def begin(self, number: int) -> None:
        """An assertion is about to be evaluated."""
        self.places[number].runs += 1
        self._sides = None
        self._before.append((self.calls(), self.word() if self.word else _NO_WORD))

    def compare(self, sign: str, left: Any, right: Any) -> Any:
        """Compares as the assertion would, and keeps both sides for the message."""
        self._sides = (sign, left, right)
        return _COMPARISONS[sign](left, right)

    def passed(self, number: int) -> None:
        """It held."""
        place = self.places[number]
        self._note(place)
        place.outcome = place.outcome or "passed"

    def failed(self, number: int, error: BaseException) -> None:
        """It didn't hold, or could not be evaluated."""
        place = self.places[number]
        self._note(place)
        sides, self._sides = self._sides, None
        if place.outcome not in ("", "passed"):
            return
        place.outcome, place.detail = self.explain(error)
        if place.outcome == "failed" and sides is not None and isinstance(error, AssertionError):
            sign, left, right = sides
            place.detail = f"got {_short(left)}, expected {_WORDS[sign]}{_short(right)}"

    def _note(self, place: Place) -> None:
        calls, (claims, told) = self._before.pop()
        place.consulted |= self.calls() > calls
        if self.word is not None:
            now_claims, now_told = self.word()
            vouched = now_claims > claims and now_told == told
            place.vouched = vouched and place.vouched is not False

    def raised(self, line: int, error: BaseException) -> None:
        """A statement that is no assertion raised."""
        self.errors.append((line, *self.explain(error)))


class _Rewriter(ast.NodeTransformer):
    """Replaces each `assert` by a recorded check, and guards the statements beside it."""

    def __init__(
        self, source: str, recorder: Recorder, tainted: frozenset[str], check: str | None
    ) -> None:
        self._lines = source.split("\n")
        self._recorder = recorder
        self._tainted = tainted
        self._check = check

    def rewrite(self, tree: ast.Module) -> ast.Module:
        """The whole file; the check function's own statements are guarded one by one."""
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == self._check:
                statement.body = self._guarded(statement.body)
        tree.body = self._guarded(tree.body)
        return ast.fix_missing_locations(tree)

    def _guarded(self, body: list[ast.stmt]) -> list[ast.stmt]:
        return [_guard(self.visit(statement)) for statement in body]

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        number = len(self._recorder.places)
        self._recorder.places.append(
            Place(
                line=node.lineno,
                text=self._text(node.test),
                tainted=_mentions(node.test, self._tainted),
            )
        )
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            sign = _SIGNS[type(test.ops[0])]
            node.test = _call("compare", [ast.Constant(sign), test.left, test.comparators[0]])
        return _attempt(
            node,
            [_tell("begin", number), node],
            caught=_tell("failed", number, caught=True),
            otherwise=[_tell("passed", number)],
        )

    def _text(self, node: ast.expr) -> str:
        """The expression as it is written; taken from the line, since unparsing costs more."""
        line = self._lines[node.lineno - 1].encode()
        if node.end_lineno == node.lineno:
            text = line[node.col_offset : node.end_col_offset].decode("utf-8", "replace")
        else:
            text = ast.unparse(node)
        return " ".join(text.split())[:_TEXT_LIMIT]

    def visit_Try(self, node: ast.Try) -> ast.stmt:
        # a check that was made already is left as it is
        return node if hasattr(node, _MADE) else self.generic_visit(node)  # type: ignore[return-value]


def _guard(node: ast.stmt) -> ast.stmt:
    if isinstance(node, _UNGUARDED) or hasattr(node, _MADE):
        return node
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return node
    return _attempt(node, [node], caught=_tell("raised", node.lineno, caught=True), otherwise=[])


def _attempt(
    place: ast.stmt, body: list[ast.stmt], *, caught: ast.stmt, otherwise: list[ast.stmt]
) -> ast.Try:
    handler = ast.ExceptHandler(
        type=ast.Name("BaseException", ast.Load()), name=_ERROR, body=[caught]
    )
    made = ast.Try(body=body, handlers=[handler], orelse=otherwise, finalbody=[])
    setattr(made, _MADE, True)
    return ast.copy_location(made, place)


def _tell(method: str, number: int, *, caught: bool = False) -> ast.stmt:
    arguments: list[ast.expr] = [ast.Constant(number)]
    if caught:
        arguments.append(ast.Name(_ERROR, ast.Load()))
    return ast.Expr(_call(method, arguments))


def _call(method: str, arguments: list[ast.expr]) -> ast.Call:
    target = ast.Attribute(ast.Name(_RECORDER, ast.Load()), method, ast.Load())
    return ast.Call(target, arguments, [])


def _mentions(node: ast.AST, names: frozenset[str]) -> bool:
    return any(isinstance(found, ast.Name) and found.id in names for found in ast.walk(node))


def _short(value: object) -> str:
    try:
        text = repr(value)
    except BaseException as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _SIDE_LIMIT else reprlib.repr(value)[:_SIDE_LIMIT]


def unbound(source: str) -> list[str]:
    """Names that tests use and nowhere bind, so that they must come from elsewhere."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    used, bound = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                used.append(node.id)
            else:
                bound.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return [name for name in dict.fromkeys(used) if name not in bound]


def taint(
    tree: ast.AST, sources: Iterable[str], *, through_arguments: bool = False
) -> frozenset[str]:
    """Names whose values can come from `sources`, by what is assigned to what.

    With `through_arguments`, so can those of names that a source is called with.
    """
    names = set(sources)
    while True:
        frozen = frozenset(names)
        for node in ast.walk(tree):
            targets: list[ast.AST] = []
            value: ast.AST | None = None
            if isinstance(node, ast.Assign):
                targets, value = list(node.targets), node.value
            elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)):
                targets, value = [node.target], node.value
            elif isinstance(node, (ast.For, ast.comprehension)):
                targets, value = [node.target], node.iter
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                targets, value = [node.optional_vars], node.context_expr
            elif isinstance(node, ast.Call) and through_arguments:
                if _mentions(node.func, frozen):
                    names |= {part.id for part in node.args if isinstance(part, ast.Name)}
                continue
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if any(_mentions(part, frozen) for part in node.body):
                    names.add(node.name)
                continue
            if value is not None and _mentions(value, frozen):
                for target in targets:
                    names |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
        if names == frozen:
            return frozen


def run(
    source: str,
    filename: str,
    *,
    function: str | None,
    candidate: Any,
    entry_names: Iterable[str],
    namespace: dict[str, Any],
    recorder: Recorder,
    mutates: bool = False,
    prepare: Callable[[ast.Module], ast.Module] | None = None,
) -> None:
    """Runs the tests; what became of them is in the recorder afterwards.

    Raises:
        SyntaxError: the tests are no Python.
    """
    tree = ast.parse(source, filename)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    sources = set(entry_names)
    if function is not None:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == function and node.args.args:
                sources.add(node.args.args[0].arg)
    tainted = taint(tree, sources, through_arguments=mutates)
    rewriter = _Rewriter(source, recorder, tainted, function)
    if prepare is not None:
        tree = prepare(tree)
    code = compile(rewriter.rewrite(tree), filename, "exec", dont_inherit=True)
    namespace[_RECORDER] = recorder
    exec(code, namespace)
    if function is None:
        return
    check = namespace.get(function)
    if not callable(check):
        recorder.errors.append((0, "error", f"the tests define no function {function}"))
        return
    try:
        check(candidate)
    except BaseException as error:
        recorder.raised(0, error)
