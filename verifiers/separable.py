"""Which trust a task gets: whether its tests can be run in another process than the program.

Decided from the task and its tests' syntax trees, before any candidate is seen or run. Tests reach
a program by calls, and its objects by handles. What needs the program's own process (its module
patched, its class subclassed, its source or its output read) can't be judged so, and the reason
names the line.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from sandbox.guest.asserts import taint
from tasks.model import PublicTask, StdioTests, Tests

_FIXTURES = {
    **dict.fromkeys(("capsys", "capfd", "capsysbinary", "capfdbinary", "caplog", "recwarn"),
                    "reads what the program prints, logs or warns"),
    **dict.fromkeys(("monkeypatch", "mocker"), "patches names in the program's process"),
    **dict.fromkeys(("tmp_path", "tmpdir", "tmp_path_factory", "tmpdir_factory"),
                    "shares files with the program"),
}  # fmt: skip
_CALLS = {
    **dict.fromkeys(("mock.patch", "patch", "patch.object", "patch.dict", "patch.multiple",
                     "mock.patch.object", "mock.patch.dict", "mock.patch.multiple"),
                    "patches names in the program's process"),
    **dict.fromkeys(("redirect_stdout", "redirect_stderr"), "reads what the program prints"),
    "importlib.reload": "loads the program's module again",
    "reload": "loads the program's module again",
    **dict.fromkeys(("TemporaryDirectory", "NamedTemporaryFile", "mkdtemp", "mkstemp",
                     "TemporaryFile"), "shares files with the program"),
    **dict.fromkeys(("asyncio.wait_for", "asyncio.timeout", "asyncio.create_task",
                     "asyncio.TaskGroup", "asyncio.ensure_future"),
                    "runs the program's coroutines beside others"),
    **dict.fromkeys(("assertLogs", "assertNoLogs", "assertWarns", "assertWarnsRegex",
                     "pytest.warns"), "reads what the program logs or warns"),
}  # fmt: skip
"""Calls, by the ends of their dotted names, that reach into the program's process."""
_WITH_CANDIDATE = {
    **dict.fromkeys(
        ("getsource", "getsourcelines", "getfile", "signature", "getfullargspec", "getmembers",
         "isfunction", "ismethod", "iscoroutinefunction", "isgeneratorfunction", "isabstract",
         "isasyncgenfunction", "isgenerator", "iscoroutine", "isasyncgen", "getmro", "getdoc",
         "get_type_hints"),
        "inspects the program's own objects",
    ),
    **dict.fromkeys(("pickle.dumps", "pickle.dump", "marshal.dumps", "json.dump",
                     "shelve.open"), "serialises an object of the program's"),
    **dict.fromkeys(("weakref.ref", "weakref.proxy", "WeakSet", "WeakValueDictionary",
                     "getrefcount", "getsizeof", "gc.get_referrers"),
                    "looks at an object's place in the program's memory"),
    **dict.fromkeys(("object.__setattr__", "object.__getattribute__", "object.__new__",
                     "object.__delattr__"), "goes round the class's own methods"),
    "create_autospec": "imitates the program's class",
    "singledispatch": "dispatches by the program's class",
}  # fmt: skip
"""Calls that do so where an argument comes from the candidate."""
_INSIDE = frozenset({
    "__code__", "__globals__", "__closure__", "__defaults__", "__kwdefaults__", "__wrapped__",
    "__annotations__", "__subclasses__", "__func__", "__new__", "__weakref__", "__builtins__",
})  # fmt: skip
_OF_FUNCTIONS = frozenset({"__name__", "__qualname__", "__call__"})
_STREAMS = frozenset({"sys.stdout", "sys.stderr", "sys.stdin", "builtins.input",
                      "builtins.print", "builtins.open"})  # fmt: skip


def why_in_process(task: PublicTask, tests: Sequence[Tests]) -> str:
    """Why a task's tests can't be judged apart from the program; empty where they can.

    Args:
        task: names the module and the entry point.
        tests: all that a verdict rests on.

    Returns:
        The first reason, such as `test_solution.py, line 12: subclasses the candidate's class`.
    """
    for test in tests:
        if isinstance(test, StdioTests):
            continue
        reason = _first_reason(test.source, task.module, task.entry_point, task.entry_kind)
        if reason:
            return f"{test.filename}, {reason}"
    return ""


@lru_cache(maxsize=1024)
def _first_reason(source: str, module: str, entry_point: str, kind: str) -> str:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""  # the judge will say so
    look = _Look(tree, module, entry_point, kind)
    found = sorted(look.reasons())
    return f"line {found[0][0]}: {found[0][1]}" if found else ""


class _Look:
    """One test file, looked at for what needs the program's own process."""

    def __init__(self, tree: ast.Module, module: str, entry_point: str, kind: str) -> None:
        self._tree = tree
        self._module = module
        self._kind = kind
        self._names = {entry_point} if entry_point else set()
        self._modules = {module}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == module:
                self._names |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name == module and alias.asname:
                        self._modules.add(alias.asname)
        self._tainted: frozenset[str] = frozenset()

    def reasons(self) -> Iterator[tuple[int, str]]:
        """Lines with reasons, in no order."""
        self._tainted = taint(self._tree, self._names | self._modules)
        looks: dict[type[ast.AST], Callable[..., str]] = {
            ast.ClassDef: self._class,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.Call: self._call,
            ast.Attribute: self._attribute,
            ast.Assign: self._assignment,
            ast.Delete: self._deletion,
            ast.Constant: self._constant,
        }
        for node in ast.walk(self._tree):
            look = looks.get(type(node))
            reason = look(node) if look is not None else ""
            if reason:
                yield getattr(node, "lineno", 0), reason

    def _is_theirs(self, node: ast.AST) -> bool:
        """Whether an expression is a class, function or module of the candidate's by name."""
        if isinstance(node, ast.Subscript):
            return self._is_theirs(node.value)
        if isinstance(node, ast.Name):
            return node.id in self._names or node.id in self._modules
        return isinstance(node, ast.Attribute) and self._is_theirs(node.value)

    def _comes_from_theirs(self, node: ast.AST) -> bool:
        return any(
            isinstance(found, ast.Name) and (found.id in self._tainted or self._is_theirs(found))
            for found in ast.walk(node)
        )

    def _class(self, node: ast.ClassDef) -> str:
        bases = [*node.bases, *(keyword.value for keyword in node.keywords)]
        theirs = next((base for base in bases if self._is_theirs(base)), None)
        return f"subclasses the candidate's {ast.unparse(theirs)}" if theirs else ""

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for argument in arguments:
            if argument.arg in _FIXTURES and (node.name.startswith("test") or _is_fixture(node)):
                return f"{_FIXTURES[argument.arg]} ({argument.arg})"
        return ""

    def _call(self, node: ast.Call) -> str:
        name = _dotted(node.func)
        for table, needed in ((_CALLS, False), (_WITH_CANDIDATE, True)):
            for ending, reason in table.items():
                if name == ending or name.endswith(f".{ending}"):
                    given = [*node.args, *(keyword.value for keyword in node.keywords)]
                    if not needed or any(map(self._comes_from_theirs, given)):
                        return f"{reason} ({name})"
        if name in ("setattr", "delattr") and node.args and self._is_module(node.args[0]):
            return "changes the program's module"
        if name == "issubclass" and len(node.args) == 2 and self._is_theirs(node.args[0]):
            return self._kinship(node.args[1])
        return ""

    def _kinship(self, other: ast.expr) -> str:
        kinds = other.elts if isinstance(other, ast.Tuple) else [other]
        for kind in kinds:
            name = _dotted(kind).rpartition(".")[2]
            found = getattr(builtins, name, None)
            concrete = isinstance(found, type) and not issubclass(found, BaseException)
            if not self._is_theirs(kind) and (concrete or name.endswith(("Enum", "Flag"))):
                return f"asks whether the candidate's class is a {name}"
        return ""

    def _attribute(self, node: ast.Attribute) -> str:
        if node.attr in _INSIDE and self._comes_from_theirs(node.value):
            return f"looks inside the program's objects ({node.attr})"
        if self._kind != "function" or not isinstance(node.value, ast.Name):
            return ""
        name = node.value.id
        is_function = name in self._names and name[:1].islower()
        if is_function and node.attr not in _OF_FUNCTIONS and isinstance(node.ctx, ast.Load):
            return f"uses the function's attribute {node.attr}"
        return ""

    def _assignment(self, node: ast.Assign) -> str:
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                if self._is_module(target.value):
                    return "changes the program's module"
                if _dotted(target) in _STREAMS:
                    return f"puts another {_dotted(target)} in place of the program's"
        return ""

    def _deletion(self, node: ast.Delete) -> str:
        for target in node.targets:
            if isinstance(target, ast.Attribute) and self._is_module(target.value):
                return "changes the program's module"
        return ""

    def _constant(self, node: ast.Constant) -> str:
        return "reads the program's file" if node.value == f"{self._module}.py" else ""

    def _is_module(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self._modules


def _is_fixture(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ""
