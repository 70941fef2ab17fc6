"""What is looked at around each test of a repository's suite, in the suite's own process.

Its text goes before that of `repository_process`; they are one program. pytest's functions, the
hooks and fixtures, Hypothesis's settings and the code of each test are compared with what they were
before the first byte of the repository ran, or with what stands in files that nobody has changed.
"""

from __future__ import annotations

import builtins
import contextlib
import operator
import os
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

_WATCHED = ("_pytest", "pluggy", "pytest", "unittest", "hypothesis")
_BUILTINS = (
    "AssertionError", "BaseException", "Exception", "KeyboardInterrupt", "SystemExit", "TypeError",
    "ValueError", "all", "any", "bool", "getattr", "isinstance", "issubclass", "len", "sorted",
    "type",
)  # fmt: skip
_REPLACED_BY_PYTEST = frozenset({"_getini_unknown_type", "makedir"})
"""pytest's own plug-in for legacy paths puts others in the place of these."""


def machinery() -> Callable[[], str]:
    """Notes what pytest and its like consist of; the function that comes back says what changed."""
    noted: list[tuple[Any, str, Any]] = []
    functions: dict[int, types.FunctionType] = {}
    classes: set[int] = set()

    def note(holder: Any, name: str, value: Any) -> None:
        noted.append((holder, name, value))
        plain = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if isinstance(plain, types.FunctionType):
            functions[id(plain)] = plain  # once, however many modules have it

    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] not in _WATCHED or module is None:
            continue
        for name, value in list(vars(module).items()):
            if isinstance(value, type):
                note(vars(module), name, value)
                if id(value) not in classes and value.__module__.partition(".")[0] in _WATCHED:
                    classes.add(id(value))
                    for inner, part in list(vars(value).items()):
                        if inner in _REPLACED_BY_PYTEST:
                            continue
                        if isinstance(part, (types.FunctionType, staticmethod, classmethod)):
                            note(vars(value), inner, part)
            elif isinstance(value, types.FunctionType):
                note(vars(module), name, value)
    for name in _BUILTINS:
        note(vars(builtins), name, getattr(builtins, name))
    holders, names, values = zip(*noted, strict=True)
    known = tuple(functions.values())
    own = tuple(function.__code__ for function in known)
    same, get, code_of, every = operator.is_, operator.getitem, operator.attrgetter("__code__"), all

    def changed() -> str:
        # loops in C: this is done twice for every test
        with contextlib.suppress(Exception):
            if every(map(same, map(get, holders, names), values)) and every(
                map(same, map(code_of, known), own)
            ):
                return ""
        for holder, name, value in noted:
            if holder.get(name) is not value:
                return f"{name} was replaced"
        for function, code in zip(known, own, strict=True):
            if function.__code__ is not code:
                return f"the code of {function.__name__} was replaced"
        return "the machinery was changed"

    return changed


class Places:
    """Which files are the suite's own, which the candidate's, and which nobody's here."""

    def __init__(self) -> None:
        self._tree = ""
        self._changed: frozenset[str] = frozenset()
        self._trusted: tuple[str, ...] = ()
        self._known: dict[str, frozenset[Any]] = {}
        self._tops: dict[str, frozenset[str]] = {}
        self._seen: dict[int, tuple[Any, bool]] = {}
        self._compile: Callable[[str], Iterator[Any]] = lambda path: iter(())

    def settle(self, tree: str, changed: list[str], libraries: list[str]) -> None:
        """Says where everything lies in this run; nothing is owned before that."""
        self._tree = f"{tree}/"
        self._changed = frozenset(f"{tree}/{path}" for path in changed)
        stdlib = os.path.dirname(os.__file__)
        self._trusted = (f"{stdlib}/", "<frozen ", *(f"{path}/" for path in libraries))

    def learn(self, config: Any) -> None:
        """Compiles the files of tests, as Python and as pytest would; the others when asked for."""
        from pathlib import Path

        from _pytest.assertion.rewrite import _rewrite_test

        def compiled(
            path: str, read: Any = open, plain: Any = compile, rewrite: Any = _rewrite_test
        ) -> Iterator[Any]:
            with contextlib.suppress(Exception), read(path, "rb") as file:
                yield plain(file.read(), path, "exec", dont_inherit=True)
                yield rewrite(Path(path), config)[1]

        self._compile = compiled
        for folder, _, names in os.walk(self._tree):
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(".py") and "test" in path[len(self._tree) :]:
                    self._look_up(path)

    def _look_up(self, path: str) -> frozenset[Any]:
        if path not in self._known:
            tops = () if path in self._changed else self._compile(path)
            self._known[path] = frozenset(code for top in tops for code in parts(top))
        return self._known[path]

    def functions_of(self, path: str) -> frozenset[str]:
        """Names that an unchanged file of the tree defines as functions at its top."""
        if path not in self._tops:
            tops = self._compile(path) if self._is_unchanged(path) else ()
            self._tops[path] = frozenset(
                part.co_name
                for top in tops
                for part in top.co_consts
                if isinstance(part, types.CodeType) and part.co_name.isidentifier()
            )
        return self._tops[path]

    def _is_unchanged(self, path: str) -> bool:
        return path.startswith(self._tree) and path not in self._changed

    def add(self, function: Any) -> None:
        """Counts a function of this program as a library's."""
        path = function.__code__.co_filename
        self._known[path] = self._known.get(path, frozenset()) | set(parts(function.__code__))

    def owns(self, code: Any) -> bool:
        """Whether code is a library's, or stands so in a file that the candidate did not change."""
        known = self._seen.get(id(code))
        if known is None or known[0] is not code:
            # it is kept, so that its address stays its own
            known = self._seen[id(code)] = (code, self._owns(code))
        return known[1]

    def _owns(self, code: Any) -> bool:
        path = code.co_filename
        if path.startswith(self._trusted):
            return True
        if path.startswith(self._tree):
            return code in self._look_up(path)
        return code in self._known.get(path, ())

    def codes(self, function: Any, depth: int = 20) -> Iterator[Any]:
        """The codes of a function and of all that it wraps."""
        function = getattr(function, "__func__", function)
        code = getattr(function, "__code__", None)
        wrapped = [getattr(function, name, None) for name in ("__wrapped__", "func")]
        wrapped.append(getattr(getattr(function, "hypothesis", None), "inner_test", None))
        if code is not None:
            # Hypothesis makes such functions at run time, as if they stood in the test's file
            forwards = _only_forwards(code)
            inside = function.__closure__[0].cell_contents if forwards and depth else None
            beneath = list(self.codes(inside, depth - 1)) if inside is not None else []
            yield from beneath or [code]
        for inner in wrapped if depth else ():
            if inner is not None:
                yield from self.codes(inner, depth - 1)


def _only_forwards(code: Any) -> bool:
    """Whether code can do nothing but call the one function that it has from outside."""
    return len(code.co_freevars) == 1 and not code.co_names and not code.co_cellvars


def parts(code: Any) -> Iterator[Any]:
    """A code object and all that are in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from parts(constant)


def hypothesis_guard(places: Places) -> Callable[[], str]:
    """Sets Hypothesis up for the run, and watches that the code under test leaves it alone."""
    if "hypothesis" not in sys.modules:
        return lambda: ""
    from hypothesis import errors, settings

    frame_of = sys._getframe
    found: list[str] = []
    register, load = settings.register_profile, settings.load_profile
    register("regreen", database=None, deadline=None, print_blob=False)
    load("regreen")
    expected = [settings.default]

    def asked_by_suite(what: str) -> None:
        frame = frame_of(2)
        for _ in range(3):  # past the library's own helpers
            if "/hypothesis/" not in frame.f_code.co_filename or frame.f_back is None:
                break
            frame = frame.f_back
        if not places.owns(frame.f_code):
            found.append(f"{what} was called by the code under test")

    made = errors.UnsatisfiedAssumption.__init__

    def watched_made(self: Any, *arguments: Any, **named: Any) -> None:
        asked_by_suite("hypothesis.reject")
        made(self, *arguments, **named)

    def watched_load(name: str) -> None:
        asked_by_suite("settings.load_profile")
        load(name)
        expected[0] = settings.default

    def watched_register(name: str, *arguments: Any, **named: Any) -> None:
        asked_by_suite("settings.register_profile")
        register(name, *arguments, **{"database": None, "deadline": None, **named})

    replace = type.__setattr__  # the class itself refuses
    replace(errors.UnsatisfiedAssumption, "__init__", watched_made)
    replace(settings, "load_profile", staticmethod(watched_load))
    replace(settings, "register_profile", staticmethod(watched_register))

    def changed() -> str:
        if settings.default is not expected[0]:
            return "Hypothesis's settings were changed"
        return found[0] if found else ""

    return changed


class Guard:
    """All that is looked at around a test."""

    def __init__(self, places: Places, *watches: Callable[[], str]) -> None:
        self._places = places
        self._watches = watches
        self._session: Any = None
        self._hooks_seen: list[Any] = []

    def open(self, session: Any) -> None:
        """From here on the hooks and fixtures of this session are looked at."""
        self._session = session

    def all(self) -> str:
        """What is not as it was, or nothing."""
        for watch in self._watches:
            if said := watch():
                return said
        for name, tracer in (("settrace", sys.gettrace()), ("setprofile", sys.getprofile())):
            if tracer is not None and not self._is_ours(tracer):
                return f"sys.{name} was called by the code under test"
        for finder in sys.meta_path:
            kind = finder if isinstance(finder, type) else type(finder)
            if not self._is_ours(getattr(kind, "find_spec", None)):
                return "an import hook was added by the code under test"
        return self._hooks()

    def _is_ours(self, function: Any) -> bool:
        return all(self._places.owns(code) for code in self._places.codes(function))

    def _hooks(self) -> str:
        if self._session is None:
            return ""
        callers = vars(self._session.config.pluginmanager.hook)
        hooks = [
            (name, hook.function, getattr(hook.function, "__code__", None))
            for name, caller in callers.items()
            if name.startswith("pytest_")
            for hook in caller.get_hookimpls()
        ]
        if hooks != self._hooks_seen:
            for name, function, _ in hooks:
                if not self._is_ours(function):
                    return f"the hook {name} was added by the code under test"
            self._hooks_seen = hooks
        return ""

    def item(self, item: Any) -> str:
        """Whether a test is still the one that its file has."""
        function = getattr(item, "obj", None)
        if not callable(function):
            return ""
        codes = list(self._places.codes(function))
        if not codes or not all(map(self._places.owns, codes)):
            return f"the function of {item.nodeid} is not the one in its file"
        names = vars(sys.modules.get(getattr(function, "__module__", ""), types))
        if names.get("@py_builtins", builtins) is not builtins:
            return "the assertions of a test module were rewritten"
        rewriting = sys.modules.get("_pytest.assertion.rewrite")
        if names.get("@pytest_ar", rewriting) is not rewriting:
            return "the assertions of a test module were rewritten"
        kind = type(item)
        if not self._is_ours(getattr(kind, "runtest", None)):
            return f"{item.nodeid} is run by something else"
        for name in vars(item):
            if isinstance(getattr(kind, name, None), types.FunctionType):
                return f"the method {name} of {item.nodeid} was replaced"
        if said := self._helpers(names, getattr(item, "cls", None)):
            return said
        fixtures = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
        for name, found in fixtures.items():
            if not all(self._is_ours(fixture.func) for fixture in found):
                return f"the fixture {name} is not the suite's own"
        return ""

    def _helpers(self, names: Any, cls: Any) -> str:
        """Functions beside the test, in its module and its classes, that are not what they were."""
        for name in self._places.functions_of(str(names.get("__file__", ""))):
            value = names.get(name)
            if isinstance(value, types.FunctionType) and not self._is_ours(value):
                return f"the function {name} of a test module was replaced"
        for base in getattr(cls, "__mro__", ()):
            if base.__module__.partition(".")[0] in (*_WATCHED, "builtins"):
                continue
            for name, value in vars(base).items():
                if isinstance(value, types.FunctionType) and not self._is_ours(value):
                    return f"the method {name} of a test class was replaced"
        return ""
