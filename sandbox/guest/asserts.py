"""Runs assert-style tests so that each `assert` is a result and one failure doesn't end the rest.

The source is rewritten before it runs: every `assert` becomes a recorded check, and every
statement of the top level and of the check function is guarded, so that what follows still runs.
An assertion counts only if it consults the candidate: it calls it while it is evaluated, or names
a value that came from it. A loop counts once for each place in the code.
"""

from __future__ import annotations

import ast
import linecache
import marshal
import operator
import reprlib
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .handles import same
from .prompt import used_names

_RECORDER = "__regreen_recorder__"
_ERROR = "__regreen_error__"
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
    tainted: bool = False
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


class _Rewriter:
    """Replaces each `assert` by a recorded check, and guards the statements beside it.

    Only statements are visited: no expression holds an `assert`, and most of a tree is expressions.
    """

    def __init__(self, source: str, check: str | None) -> None:
        self._lines = source.split("\n")
        self._check = check
        self.places: list[tuple[int, str, list[str]]] = []

    def rewrite(self, tree: ast.Module) -> None:
        """The whole file; the check function's own statements are guarded one by one."""
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == self._check:
                self._block(statement.body, guard=True)
            else:
                self._within(statement)
        self._block(tree.body, guard=True, inside=False)

    def _block(self, body: list[ast.stmt], *, guard: bool = False, inside: bool = True) -> None:
        for place, statement in enumerate(body):
            if isinstance(statement, ast.Assert):
                body[place] = self._recorded(statement)
                continue
            if inside:
                self._within(statement)
            if guard and not _stays(statement):
                told = _tell("raised", statement.lineno, statement, caught=True)
                body[place] = _attempt(statement, [statement], caught=told, otherwise=[])

    def _within(self, statement: ast.stmt) -> None:
        """The blocks that a compound statement has."""
        for name in ("body", "orelse", "finalbody"):
            block = getattr(statement, name, None)
            if block:
                self._block(block)
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            self._block(part.body)

    def _recorded(self, node: ast.Assert) -> ast.stmt:
        number = len(self.places)
        test = node.test
        self.places.append((node.lineno, self._text(test), _names(test)))
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            sign = ast.Constant(_SIGNS[type(test.ops[0])], **_at(node))
            node.test = _call("compare", [sign, test.left, test.comparators[0]], node)
        return _attempt(
            node,
            [_tell("begin", number, node), node],
            caught=_tell("failed", number, node, caught=True),
            otherwise=[_tell("passed", number, node)],
        )

    def _text(self, node: ast.expr) -> str:
        """The expression as it is written; taken from the line, since unparsing costs more."""
        line = self._lines[node.lineno - 1].encode()
        if node.end_lineno == node.lineno:
            text = line[node.col_offset : node.end_col_offset].decode("utf-8", "replace")
        else:
            text = ast.unparse(node)
        return " ".join(text.split())[:_TEXT_LIMIT]


def _stays(node: ast.stmt) -> bool:
    """Whether a statement can't fail, or has to stand where it stands."""
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return True
    return isinstance(node, _UNGUARDED)


def _at(node: ast.stmt) -> dict[str, Any]:
    """The place of a node, for those that are made in its stead."""
    return {
        "lineno": node.lineno,
        "col_offset": node.col_offset,
        "end_lineno": node.end_lineno,
        "end_col_offset": node.end_col_offset,
    }


def _attempt(
    place: ast.stmt, body: list[ast.stmt], *, caught: ast.stmt, otherwise: list[ast.stmt]
) -> ast.Try:
    at = _at(place)
    everything = ast.Name("BaseException", ast.Load(), **at)
    handler = ast.ExceptHandler(type=everything, name=_ERROR, body=[caught], **at)
    return ast.Try(body=body, handlers=[handler], orelse=otherwise, finalbody=[], **at)


def _tell(method: str, number: int, place: ast.stmt, *, caught: bool = False) -> ast.stmt:
    arguments: list[ast.expr] = [ast.Constant(number, **_at(place))]
    if caught:
        arguments.append(ast.Name(_ERROR, ast.Load(), **_at(place)))
    return ast.Expr(_call(method, arguments, place), **_at(place))


def _call(method: str, arguments: list[ast.expr], place: ast.stmt) -> ast.Call:
    at = _at(place)
    recorder = ast.Name(_RECORDER, ast.Load(), **at)
    return ast.Call(ast.Attribute(recorder, method, ast.Load(), **at), arguments, [], **at)


def _names(node: ast.AST) -> list[str]:
    return [found.id for found in ast.walk(node) if isinstance(found, ast.Name)]


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


@dataclass(frozen=True, slots=True)
class Prepared:
    """Tests ready to run.

    Attributes:
        code: of the rewritten source.
        places: line, text and names of each `assert`, in the order of their numbers.
        used: names of globals, attributes and imports in the code.
    """

    code: types.CodeType
    places: list[tuple[int, str, list[str]]]
    used: set[str]

    def dump(self) -> bytes:
        """For `load`, by the same Python."""
        return marshal.dumps((self.code, self.places, self.used))

    @staticmethod
    def load(data: bytes) -> Prepared:
        """What `dump` made. Only from those who may decide over these very tests."""
        return Prepared(*marshal.loads(data))


def prepare(
    source: str,
    filename: str,
    *,
    function: str | None,
    change: Callable[[ast.Module], ast.Module] | None = None,
) -> Prepared:
    """Rewrites and compiles tests, which is all of their cost that doesn't depend on a candidate.

    Args:
        source: of the tests.
        filename: for tracebacks.
        function: the check function, if there is one.
        change: applied to the syntax tree first.

    Raises:
        SyntaxError: the tests are no Python.
    """
    tree = ast.parse(source, filename)
    if change is not None:
        tree = change(tree)
    rewriter = _Rewriter(source, function)
    rewriter.rewrite(tree)
    code = compile(tree, filename, "exec", dont_inherit=True)
    return Prepared(code, rewriter.places, used_names(code))


def run(
    prepared: Prepared,
    source: str,
    filename: str,
    *,
    function: str | None,
    candidate: Any,
    entry_names: Iterable[str],
    namespace: Callable[[set[str]], dict[str, Any]],
    recorder: Recorder,
    mutates: bool = False,
) -> None:
    """Runs prepared tests; what became of them is in the recorder afterwards."""
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    recorder.places = [Place(line, text) for line, text, _names in prepared.places]
    names = namespace(prepared.used)
    names[_RECORDER] = recorder
    exec(prepared.code, names)
    _check(function, candidate, names, recorder)
    # What calls nobody and names nothing says nothing of the candidate, and is the most frequent.
    silent = [
        (place, named)
        for place, (_line, _text, named) in zip(recorder.places, prepared.places, strict=True)
        if named and not place.consulted
    ]
    if silent:
        tainted = _tainted(source, function, entry_names, mutates=mutates)
        for place, named in silent:
            place.tainted = not tainted.isdisjoint(named)


def _check(
    function: str | None, candidate: Any, namespace: dict[str, Any], recorder: Recorder
) -> None:
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


def _tainted(
    source: str, function: str | None, entry_names: Iterable[str], *, mutates: bool
) -> frozenset[str]:
    """Names in the tests whose values can come from the candidate."""
    tree = ast.parse(source)
    sources = set(entry_names)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function and node.args.args:
            sources.add(node.args.args[0].arg)
    return taint(tree, sources, through_arguments=mutates)
