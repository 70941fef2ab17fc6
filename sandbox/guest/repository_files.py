"""Runs a repository's suite with a process for each test file: the supervisor, outside of them.

For runners that take one file at a time. What is particular to one comes with the order: the
program, its arguments, and files of ours that it loads first (`meta`). Each process has a fresh
copy of the tree and a key of its own, which it finds on standard input before its settings, and
writes records as `repository_files_judge` says. It is locked down as any other.

To the judge, besides what `repository` sends: `{"file": path}` before a file's records, and
`{"closed": {...}}` after them, with how its process ended.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import socket
import sys
import time
import zlib
from dataclasses import replace
from typing import Any

from . import wire
from .confine import Confinement, Furnishing, adopt_orphans
from .limits import rlimits
from .repository_files_judge import file_key
from .repository_run import SuiteRun, clear
from .supervised import DESCRIPTORS, META, TMP, TREE, unpack

_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin")
_ANY_ADDRESS_SPACE = 1 << 46
_PROGRAM_BYTES = 256 << 20
"""What a runtime with a just-in-time compiler needs by itself, threads' stacks included."""
_NOT_FOUND = 127


def serve(sock: socket.socket, job: dict[str, Any], confinement: Confinement, uid: int) -> None:
    """Runs one suite and tells the judge of it as it goes."""
    adopt_orphans()
    order = wire.Reader(sock).receive()
    if order is None:
        return
    try:
        end = _Run(sock, job, confinement, uid).run_all(order)
    except Exception as error:
        end = {"fault": f"the supervisor failed: {type(error).__name__}: {error}"}
    finally:
        clear(confinement)
        confinement.clean(uid)
    with contextlib.suppress(OSError):  # the judge may have gone
        sock.sendall(wire.dump({"ended": end}))


class _Run(SuiteRun):
    """One run of a suite, from the first file's process to the end of the last one's."""

    def run_all(self, order: dict[str, Any]) -> dict[str, Any]:
        """Runs one file after the other, and says how it ended."""
        started = time.monotonic()
        archive = zlib.decompress(base64.b64decode(order["archive"]))
        whole: dict[str, Any] = {"code": 0, "breach": None, "cpu": 0.0, "rss": 0, "tail": ""}
        whole["seconds"] = 0.0
        program = self._find(order["program"], order["wheel"])
        if not program:
            return {**whole, "code": _NOT_FOUND, "tail": f"no {order['program']} in the sandbox"}
        self._tell({"tree": f"{self._confinement.folder}/{TREE}/"})
        for file in order["files"]:
            self._tell({"file": file})
            end = self._run_file(order, program, archive, file, started)
            whole["cpu"] += end["cpu"]
            whole["rss"] = max(whole["rss"], end["rss"])
            whole |= {name: end[name] for name in ("code", "breach", "tail", "seconds")}
            allowed = self._limits["cpu_seconds"]
            if whole["cpu"] > allowed and not whole["breach"]:
                whole["breach"] = ("timeout", f"more than {allowed:g} s of cpu time")
            if whole["breach"]:
                break
            self._tell({"closed": {"code": end["code"], "tail": end["tail"]}})
        return whole

    def _tell(self, message: dict[str, Any]) -> None:
        self._judge.sendall(wire.dump(message))

    def _find(self, program: str, wheel: str) -> str:
        """The program: of a requirement, or else the system's."""
        site = [path for path in sys.path if path in self._confinement.read]
        places = [f"{path}/{wheel}" for path in site if wheel]
        places += [f"{path}/{program}" for path in _FOLDERS]
        return next((path for path in places if os.access(path, os.X_OK)), "")

    def _run_file(
        self, order: dict[str, Any], program: str, archive: bytes, file: str, started: float
    ) -> dict[str, Any]:
        folder = self._confinement.folder
        (order_read, order_write), (records_read, records_write), (out_read, out_write) = (
            os.pipe2(os.O_CLOEXEC) for _ in range(3)
        )
        settings = {"descriptor": records_write, **order["settings"].get(file, {})}
        meta = f"{folder}/{META}"
        command = [program, *(word.replace("{meta}", meta) for word in order["arguments"]), file]
        tmp = f"{folder}/{TMP}"
        environment = {**order["environment"], "HOME": tmp, "TMPDIR": tmp}
        limits = replace(
            rlimits(self._limits, 0), descriptors=DESCRIPTORS, address_space=_ANY_ADDRESS_SPACE
        )
        most = _PROGRAM_BYTES + int(self._limits["memory_mb"] * (1 << 20))
        try:
            pid = self._confinement.fork(
                self._uid,
                limits.amounts(),
                [records_write],
                (order_read, out_write, out_write),
                lambda _text, _descriptors: _become(
                    command, environment, f"{folder}/{TREE}", records_write, most
                ),
                furnishing=Furnishing(
                    fill=lambda where, uid: self._furnish(where, uid, archive, order),
                    read=(f"{folder}/{TREE}", meta),
                    write=(tmp,),
                ),
            )
        finally:
            for descriptor in (order_read, records_write, out_write):
                os.close(descriptor)
        with contextlib.suppress(OSError):
            key = file_key(bytes.fromhex(order["key"]), file)
            wire.write_all(order_write, key + json.dumps(settings).encode())
        os.close(order_write)
        self._tail = b""
        breach = self.watch(pid, records_read, self.pass_on, out_read, started)
        end = self.end(pid, breach, started)
        clear(self._confinement)
        if not self._confinement.clean(self._uid):
            raise RuntimeError("a test file's processes can't be ended")
        return end

    def _furnish(self, folder: str, uid: int, archive: bytes, order: dict[str, Any]) -> None:
        """Runs in the child while it is still the server."""
        os.umask(0o022)
        meta, tree = f"{folder}/{META}", f"{folder}/{TREE}"
        os.mkdir(meta)
        for name, text in order["meta"].items():
            with open(f"{meta}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        os.mkdir(tree)
        unpack(archive, tree)
        self.seal(folder, uid)


def _become(
    command: list[str], environment: dict[str, str], tree: str, records: int, most: int
) -> None:
    """Replaces this process by the program.

    Such runtimes reserve far more address space than they use, so what they may write to is
    limited in its place.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    os.chdir(tree)
    os.set_inheritable(records, True)
    os.execve(command[0], command, environment)
