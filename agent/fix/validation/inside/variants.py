"""Runs the driver on several versions of the code, each in a process of its own.

The processes are forked before the repository's code is imported, as far as its conftest files
leave it so; what is imported is forgotten in the child. A child holds no channel but a pipe to its
parent, to which it writes what it saw.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from .alarm import clear_alarm
from .driver import Driver
from .parts import PIECE, packed

VARIANT_SECONDS = 30.0
"""Wall time of one version, after which what it has told until then is all."""

_top = Path.cwd()


class Variants:
    """Versions of the code, and inputs to observe each on.

    Args:
        texts: of each version, the files that differ and their texts, `None` where one is removed.
        inputs: each a label of a function, `module:qualified name`, and its encoded arguments.
        pieces: of text, in which what one version gives is handed out.
    """

    def __init__(self, texts: list[dict[str, Any]], inputs: list[Any], pieces: int) -> None:
        self._texts = texts
        self._inputs = inputs
        self._pieces = pieces
        self._told: dict[int, str] = {}

    def piece(self, number: int) -> str:
        """A piece of what one version gives; pieces of one version follow each other."""
        variant, place = divmod(number, self._pieces)
        if variant not in self._told:
            self._told[variant] = self._fitting(self._run(self._texts[variant]))
        return self._told[variant][place * PIECE : (place + 1) * PIECE]

    def _fitting(self, seen: list[list[str]]) -> str:
        """As much of it as there are pieces for: first the previews go, then the last inputs."""
        text = packed(seen)
        if len(text) > self._pieces * PIECE:
            text = packed([[kind, digest, preview[:24]] for kind, digest, preview in seen])
        while len(text) > self._pieces * PIECE:
            seen = seen[: len(seen) * 3 // 4]
            text = packed([[kind, digest, ""] for kind, digest, _ in seen])
        return text

    def _run(self, texts: dict[str, Any]) -> list[list[str]]:
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                # the parent's timers are not inherited; its channels are, and go
                for descriptor in range(3, 1024):
                    if descriptor != writing:
                        with contextlib.suppress(OSError):
                            os.close(descriptor)
                _forget()
                _serve(texts)
                driver = Driver(self._inputs)
                for place in range(len(self._inputs)):
                    clear_alarm()
                    line = json.dumps(driver.observe(place, place + 1)[0]) + "\n"
                    data = line.encode()
                    while data:
                        data = data[os.write(writing, data) :]
            finally:
                os._exit(0)
        os.close(writing)
        try:
            return _lines(reading, len(self._inputs))
        finally:
            os.close(reading)
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _lines(descriptor: int, most: int) -> list[list[str]]:
    """What a child has told, until it ends, is late, or tells more than it should."""
    data = b""
    deadline = time.monotonic() + VARIANT_SECONDS
    while (left := deadline - time.monotonic()) > 0 and len(data) < most * 2000:
        if not select.select([descriptor], [], [], left)[0]:
            break
        more = os.read(descriptor, 1 << 16)
        if not more:
            break
        data += more
    found: list[list[str]] = []
    for line in data.split(b"\n")[:-1][:most]:
        try:
            kind, digest, preview = json.loads(line)
            found.append([str(kind), str(digest), str(preview)])
        except (ValueError, TypeError):
            break
    return found


def _forget() -> None:
    """Takes out of memory what was imported from the tree, but for tests."""
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "/")
        if name != __name__ and file.is_relative_to(_top) and not _is_test(file.name):
            del sys.modules[name]


def _is_test(name: str) -> bool:
    return name == "conftest.py" or name.startswith("test_")


def _serve(texts: dict[str, Any]) -> None:
    """Has files imported with these texts in place of their own."""
    wanted = {str(_top / path): text for path, text in texts.items()}
    load = SourceFileLoader.get_code

    def get_code(self: Any, name: str) -> Any:
        if self.path in wanted:
            text = wanted[self.path]
            if text is None:
                raise ModuleNotFoundError(name, name=name)
            return compile(text, self.path, "exec", dont_inherit=True)
        return load(self, name)

    loader: Any = SourceFileLoader
    loader.get_code = get_code
