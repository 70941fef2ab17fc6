"""What the Python of a repository's suite runs first: pytest, watched, with a record a step.

This text is run by `python3 -c` in a process of its own, which will import the candidate's code, so
nothing here is out of that code's reach for good. It is made to be hard to reach: the machinery is
imported, and what it consists of noted down, before the first byte of the repository runs; records
go out as they arise, chained by a keyed hash; what it needs at that is held by closures and called
without a look-up by name; and around every test pytest's functions, the hooks and the test's own
code are compared with what they were. docs/repositories.md says what is left.

Each record is a line of words in hexadecimal: kind, fields, and the chain's hash after it.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import random
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from .repository_guard import Guard, Places, hypothesis_guard, machinery
from .repository_trace import Tracer, tracer

_DETAIL = 3000
_PROPERTIES = "_hypothesis_pytestplugin"

Emit = Callable[..., None]


def channel(descriptor: int, key: bytes) -> Emit:
    """A function that writes one record; it holds the key's state where no name leads to it."""
    state = hashlib.blake2b(key=key, digest_size=16)
    write, lock, text, encode = os.write, threading.Lock(), str, str.encode

    def emit(*words: str) -> None:
        line = b" ".join([encode(text(word), "utf-8", "backslashreplace").hex().encode() or b"-"
                          for word in words])  # fmt: skip
        with lock:
            state.update(line)
            data = line + b" " + state.copy().hexdigest().encode() + b"\n"
            while data:
                data = data[write(descriptor, data) :]

    return emit


def reporter(
    emit: Emit,
    guard: Guard,
    places: Places,
    tree: str,
    *,
    wanted: Callable[[str], bool],
    trace: Tracer | None,
) -> types.ModuleType:
    """The plug-in that tells what happens, and what was seen besides of each step.

    Args:
        emit: writes a record.
        guard: looks at the machinery and the tests.
        places: learns how pytest compiles tests.
        tree: folder of the repository.
        wanted: whether the test of an id is to be run.
        trace: watches what each test executes, if that is asked for.
    """
    import pytest

    plugin = types.ModuleType("reporter")
    look_around, look_at = guard.all, guard.item  # by no name that could be given another meaning
    seen: dict[str, str] = {}
    told: set[str] = set()
    subreport = getattr(sys.modules.get("_pytest.subtests"), "SubtestReport", None)

    def explained(report: Any) -> str:
        return "" if report.passed else str(report.longrepr).replace(f"{tree}/", "")[-_DETAIL:]

    def look(*sayings: str) -> None:
        for said in sayings:
            if said and said not in told:
                told.add(said)
                emit("foul", said)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(early_config: Any) -> Any:
        places.learn(early_config)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(session: Any) -> None:
        guard.open(session)
        emit("start", pytest.__version__)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(report: Any) -> None:
        if report.failed:
            emit("uncollected", report.nodeid, explained(report))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
        left_out = [item for item in items if not wanted(item.nodeid)]
        if left_out:
            items[:] = [item for item in items if wanted(item.nodeid)]
            config.hook.pytest_deselected(items=left_out)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(session: Any) -> None:
        for item in session.items:
            emit("collected", item.nodeid)
        emit("ready", str(len(session.items)))
        look(look_around())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(item: Any) -> Any:
        emit("begin", item.nodeid)
        result = yield
        for words in trace[2]() if trace else ():
            emit("reached", item.nodeid, *words)
        emit("end", item.nodeid)
        return result

    def watch(when: str) -> Any:
        @pytest.hookimpl(wrapper=True, trylast=True)
        def step(item: Any) -> Any:
            if when == "call":
                look(look_around(), look_at(item))
            seen[when] = "unfinished"
            if trace:
                trace[0]()
            try:
                result = yield
            except BaseException as error:
                seen[when] = type(error).__name__
                raise
            else:
                seen[when] = "fine"
            finally:
                if trace:
                    trace[1]()
                if when == "call":
                    look(look_around(), look_at(item))
            return result

        return step

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(report: Any) -> None:
        detail = explained(report)
        if subreport is not None and isinstance(report, subreport):
            emit("part", report.nodeid, report.outcome, detail)
            return
        told_of = "fine" if report.when is None else seen.pop(report.when, "unseen")
        marks = "xfail" if hasattr(report, "wasxfail") else ""
        words = (str(report.when), report.outcome, told_of, marks)
        emit("phase", report.nodeid, *words, f"{getattr(report, 'duration', 0.0):.6f}", detail)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(session: Any, exitstatus: Any) -> Any:
        look(look_around())
        result = yield
        emit("finish", str(int(exitstatus)))
        return result

    vars(plugin).update(
        {
            hook.__name__: hook
            for hook in (
                pytest_load_initial_conftests,
                pytest_sessionstart,
                pytest_collectreport,
                pytest_collection_modifyitems,
                pytest_collection_finish,
                pytest_runtest_protocol,
                pytest_runtest_logreport,
                pytest_sessionfinish,
            )
        }
    )
    for when in ("setup", "call", "teardown"):
        setattr(plugin, f"pytest_runtest_{when}", watch(when))
    return plugin


Prepared = tuple[Places, Callable[[], str], Callable[[], str]]


def prepare() -> Prepared:
    """Imports the machinery and notes what it consists of; no byte of a repository has run."""
    import pytest  # noqa: F401

    _import_machinery()
    places = Places()
    watch_hypothesis = hypothesis_guard(places)
    return places, machinery(), watch_hypothesis


def start(prepared: Prepared | None = None) -> None:
    """Reads the order and runs the suite. Never returns.

    Args:
        prepared: what `prepare` gave in the process that this one was forked from, if it was.
    """
    leave, output = os._exit, sys.stdout
    order = b""
    while more := os.read(0, 1 << 16):
        order += more
    settings = json.loads(order)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    descriptor = _moved(settings["descriptor"])
    emit = channel(descriptor, bytes.fromhex(settings.pop("key")))
    order = b""
    sys.path[:] = [*(path for path in sys.path if path), *settings["libraries"]]
    if prepared is None:
        prepared = prepare()
    elif _plug_in():
        prepared = (prepared[0], machinery(), prepared[2])
    places, watch_machinery, watch_hypothesis = prepared
    import pytest

    sys.path[:] = [*sys.path, *settings["roots"]]
    # for what the suite starts
    os.environ["PYTHONPATH"] = os.pathsep.join([*settings["roots"], *settings["libraries"]])
    random.seed(settings["seed"])
    places.settle(settings["tree"], settings["changed"], settings["libraries"])
    sys.modules["__main__"] = types.ModuleType("__main__")
    guard = Guard(places, watch_machinery, watch_hypothesis)
    plugin = reporter(
        emit,
        guard,
        places,
        settings["tree"],
        wanted=_chooser(settings.pop("only"), settings.pop("without")),
        trace=tracer(settings["tree"], settings["trace"]) if settings["trace"] else None,
    )
    # none of this file's functions stands in a file, and all of them are hooks or held by hooks
    for value in [*vars(plugin).values(), *_functions()]:
        if isinstance(value, types.FunctionType):
            places.add(value)
    gc.collect()
    # as an object, since pytest warns of a plug-in by name that was imported before
    properties = sys.modules[_PROPERTIES]
    status = int(pytest.main(settings["arguments"], plugins=[properties, plugin]))
    emit("exit", str(status))
    with contextlib.suppress(BaseException):
        output.flush()
    leave(status)


def _plug_in() -> bool:
    """Loads what requirements bring for Hypothesis, as its import does; says if there was any."""
    from importlib.metadata import entry_points

    found = "hypothesis" in sys.modules and bool(entry_points(group="hypothesis"))
    if found:
        from hypothesis.entry_points import run

        run()
    return found


def _chooser(only: list[str], without: list[str]) -> Callable[[str], bool]:
    chosen, left_out = frozenset(only), frozenset(without)
    return lambda name: name not in left_out and (not chosen or name in chosen)


def _functions() -> list[Any]:
    return [value for value in globals().values() if isinstance(value, types.FunctionType)]


def _moved(descriptor: int) -> int:
    """The same pipe under another number, which nothing that is started inherits."""
    import fcntl

    low = 100 + int.from_bytes(os.urandom(2), "big") % 800
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, low)
    os.close(descriptor)
    return moved


def _import_machinery() -> None:
    """Everything that a test run may use is there before the repository's first byte is."""
    import asyncio  # noqa: F401
    import importlib
    import pkgutil
    import unittest.mock  # noqa: F401

    import _pytest

    for _, name, _ in pkgutil.iter_modules(_pytest.__path__, "_pytest."):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in ("hypothesis", "hypothesis.internal.conjecture.engine", "hypothesis.stateful",
                 _PROPERTIES):  # fmt: skip
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    start()
