"""What every suite's process begins with: pytest and its like, imported once and noted down.

Importing them takes a suite of small tests longer than running it does. So the candidates' server
does it before the first run of a repository, and a run's process is a fork, locked down like any
other. What it inherits has met no order, no key, no test and no byte of a repository: the
fork is made before the supervisor hears of the order, and nothing that belongs to one is ever
imported here. Requirements are not on the path at that, since their code is a stranger's.

A fork has the hash seed of the server. Where an order wants another one, for a second opinion, or
where there is no pytest to be had here, a Python is started for the run, with the same program.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from .limits import address_space

_OPTIONS = ("-s", "-S", "-B", "-P", "-c")
"""No site, so no `.pth` file and no sitecustomize; no byte code; no folder of the script."""
_PROGRAM = ("repository_guard", "repository_trace", "repository_process")


class Template:
    """The machinery in this process's memory, for forks of it.

    Args:
        libraries: folder of pytest and Hypothesis, or empty.
        others: folders on the path that are not looked at.
        hash_seed: of this process, as in its environment.

    Attributes:
        address_space: bytes that are mapped here; a run's limit counts on top of that.
    """

    def __init__(self, libraries: str, others: Iterable[str], hash_seed: str) -> None:
        self._hash_seed = hash_seed
        self._path = [path for path in sys.path if path and path not in {*others}]
        self._start: Callable[..., NoReturn] | None = None
        self._prepared: Any = None
        before, sys.path[:] = sys.path[:], [*self._path, libraries]
        with contextlib.suppress(ImportError):
            if libraries:
                self._load()
        sys.path[:] = before
        gc.collect()
        gc.freeze()
        self.address_space = address_space()

    def _load(self) -> None:
        program: dict[str, Any] = {"__name__": "regreen_suite"}
        exec(compile(program_text(), "<string>", "exec"), program)
        self._prepared = program["prepare"]()
        self._start = program["start"]

    def begin(self, hash_seed: int, environment: dict[str, str], records: int) -> NoReturn:
        """Makes this locked-down process the suite's, which reads its settings from descriptor 0.

        Args:
            hash_seed: that it has to have.
            environment: all of it.
            records: descriptor to tell the judge by.
        """
        if self._start is None or self._hash_seed != str(hash_seed):
            os.set_inheritable(records, True)
            # its own path as its name: by that it finds its library
            options = [sys.executable, *_OPTIONS, program_text()]
            os.execve(sys.executable, options, environment)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = self._path
        _look_like_new()
        self._start(self._prepared)


def _look_like_new() -> None:
    """Undoes what tells this process from a Python that has just begun."""
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=False)  # type: ignore[union-attr]
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not _loader()]
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]
    if "tempfile" in sys.modules:
        vars(sys.modules["tempfile"])["tempdir"] = None  # it is kept where it was found first


def _loader() -> Any:
    """Where the guest's modules come from, sources and all; it is the finder, too."""
    return sys.modules[__name__].__spec__.loader  # type: ignore[union-attr]


def program_text() -> str:
    """The modules of the suite's process as one program."""
    lines = ["from __future__ import annotations"]
    for name in _PROGRAM:
        spec = importlib.util.find_spec(f"{__package__}.{name}")
        # the loader of `boot`, which has them all
        source: str = spec.loader.sources[spec.name]  # type: ignore[union-attr]
        lines += [
            line
            for line in source.splitlines()
            if not line.startswith(("from __future__ ", "from .repository_"))
        ]
    return "\n".join(lines)
