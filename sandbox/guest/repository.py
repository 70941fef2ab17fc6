"""Runs a repository's pytest suite: the supervisor, on the candidates' side, outside the suite.

Trusted guest code. It starts a locked-down process for the suite, with a fresh copy of the tree
that the suite can read and not change, and passes on to the judge, unread, what that tells. What
the process begins with is in `repository_template`, what it does in `repository_process`, what is
made of its records in `repository_judge`.

From the judge: one frame, the order. To the judge: `{"bytes": hex}` as the records come, then
`{"ended": {...}}`. To the suite's process, on its standard input: a frame with the tree, before it
is locked down, and then its settings. It is forked before the order comes, so that nothing of that
is in its memory by accident.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import sys
import time
import zlib
from dataclasses import replace
from typing import Any

from . import wire
from .confine import Confinement, Furnishing, adopt_orphans
from .limits import rlimits
from .plugins import plugin_arguments
from .repository_run import SuiteRun, clear
from .repository_template import Template
from .supervised import DESCRIPTORS, META, TMP, TREE, Breach, unpack

_PASSED_ON = ("key", "arguments", "changed", "seed", "only", "without", "trace")
_HEADER = struct.Struct(">I")
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUTF8": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}


def serve(
    sock: socket.socket,
    job: dict[str, Any],
    confinement: Confinement,
    uid: int,
    template: Template,
    libraries: str,
) -> None:
    """Runs one suite and tells the judge of it as it goes."""
    adopt_orphans()
    try:
        end = _Run(sock, job, confinement, uid, template).run(libraries)
    except Exception as error:
        end = {"fault": f"the supervisor failed: {type(error).__name__}: {error}"}
    finally:
        clear(confinement)
        confinement.clean(uid)
    with contextlib.suppress(OSError):  # the judge may have gone
        sock.sendall(wire.dump({"ended": end}))


class _Run(SuiteRun):
    """One run of a suite, from its process's start to its end."""

    def __init__(
        self,
        sock: socket.socket,
        job: dict[str, Any],
        confinement: Confinement,
        uid: int,
        template: Template,
    ) -> None:
        super().__init__(sock, job, confinement, uid)
        self._template = template
        self._hash_seed = 0

    def run(self, libraries: str) -> dict[str, Any]:
        """Starts the process, passes its records on, and says how it ended."""
        started = time.monotonic()
        folder = self._confinement.folder
        site = [path for path in sys.path if path in self._confinement.read]
        found = [path for path in (libraries, *site, f"{folder}/{META}") if path]
        (order_read, order_write), (records_read, records_write), (out_read, out_write) = (
            os.pipe2(os.O_CLOEXEC) for _ in range(3)
        )
        try:
            limits = rlimits(self._limits, self._template.address_space)
            pid = self._confinement.fork(
                self._uid,
                replace(limits, descriptors=DESCRIPTORS).amounts(),
                [records_write],
                (order_read, out_write, out_write),
                lambda _text, descriptors: self._become_suite(descriptors[0]),
                furnishing=Furnishing(
                    fill=self._fill, read=(f"{folder}/{TREE}", *found), write=(f"{folder}/{TMP}",)
                ),
            )
        finally:
            for descriptor in (order_read, records_write, out_write):
                os.close(descriptor)
        breach: Breach | None = ("crash", "the judge went away")
        if self._hand_over(order_write, found, records_write):
            breach = self.watch(pid, records_read, self.pass_on, out_read, started)
        return self.end(pid, breach, started)

    def _hand_over(self, out: int, libraries: list[str], records: int) -> bool:
        """Gives the process the tree and its settings; `False` if the judge had no order."""
        order = wire.Reader(self._judge).receive()
        tree = f"{self._confinement.folder}/{TREE}"
        with contextlib.suppress(OSError):  # what becomes of the process shows anyway
            if order is not None:
                site = [path for path in libraries if path in self._confinement.read]
                plugins = plugin_arguments(site, order["arguments"]) if order["installed"] else []
                settings = {name: order[name] for name in _PASSED_ON} | {
                    "arguments": [*plugins, *order["arguments"]],
                    "descriptor": records,
                    "tree": tree,
                    "libraries": libraries,
                    "roots": [f"{tree}/{root}".rstrip("/.") for root in order["roots"]],
                }
                parts = {name: order[name] for name in ("archive", "name", "version", "hash_seed")}
                wire.write_all(out, wire.dump(parts))
                wire.write_all(out, json.dumps(settings).encode())
        os.close(out)
        return order is not None

    def _fill(self, folder: str, uid: int) -> None:
        """Runs in the child while it is still the server: what is made here is not the child's."""
        parts = _frame(0)
        self._hash_seed = parts["hash_seed"]
        os.umask(0o022)
        tree = f"{folder}/{TREE}"
        os.mkdir(tree)
        unpack(zlib.decompress(base64.b64decode(parts["archive"])), tree)
        _write_metadata(f"{folder}/{META}", parts["name"], parts["version"])
        self.seal(folder, uid)

    def _become_suite(self, records: int) -> None:
        """Runs in the child, locked down."""
        tmp = f"{self._confinement.folder}/{TMP}"
        os.chdir(f"{self._confinement.folder}/{TREE}")
        environment = {
            **_ENVIRONMENT,
            "HOME": tmp,
            "TMPDIR": tmp,
            "PYTHONHASHSEED": str(self._hash_seed),
            "HYPOTHESIS_STORAGE_DIRECTORY": f"{tmp}/hypothesis",
        }
        self._template.begin(self._hash_seed, environment, records)


def _write_metadata(folder: str, name: str, version: str) -> None:
    """Has the project count as installed, for those who ask for its version."""
    os.mkdir(folder)
    if name:
        place = f"{folder}/{name.replace('-', '_')}-{version}.dist-info"
        os.mkdir(place)
        with open(f"{place}/METADATA", "w", encoding="utf-8") as file:
            file.write(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def _frame(descriptor: int) -> dict[str, Any]:
    """One frame of a pipe, and not a byte of what comes after it."""
    (length,) = _HEADER.unpack(_take(descriptor, _HEADER.size))
    found: dict[str, Any] = wire.load(_take(descriptor, length))
    return found


def _take(descriptor: int, count: int) -> bytearray:
    data = bytearray()
    while len(data) < count:
        more = os.read(descriptor, count - len(data))
        if not more:
            raise EOFError("no order came")
        data += more
    return data
