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
import io
import json
import os
import selectors
import signal
import socket
import struct
import sys
import tarfile
import time
import zlib
from dataclasses import replace
from typing import Any

from . import kernel, wire
from .confine import Confinement, Furnishing, adopt_orphans, empty_folder
from .limits import ended, oom_kills, ran_out_of_cpu, rlimits, whole_seconds
from .plugins import plugin_arguments
from .repository_template import Template

TREE, TMP, META = "tree", "tmp", "meta"
_TAIL = 16_384
_RECORDS_LIMIT = 24 << 20
_DESCRIPTORS = 1024
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
    folder = confinement.folder
    try:
        end = _Run(sock, job, confinement, uid, template).run(libraries)
    except Exception as error:
        end = {"fault": f"the supervisor failed: {type(error).__name__}: {error}"}
    finally:
        _clear(confinement, folder)
        confinement.clean(uid)
    with contextlib.suppress(OSError):  # the judge may have gone
        sock.sendall(wire.dump({"ended": end}))


def _clear(confinement: Confinement, folder: str) -> None:
    """Removes what is the server's own in the folder; the rest is removed as the run's user."""
    if confinement.identity == "userns":
        return  # it went with its mount
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o777 if confinement.identity == "uids" else 0o700)
    for name in (TREE, META):
        with contextlib.suppress(OSError):
            empty_folder(f"{folder}/{name}")
            os.rmdir(f"{folder}/{name}")


class _Run:
    """One run of a suite, from its process's start to its end."""

    def __init__(
        self,
        sock: socket.socket,
        job: dict[str, Any],
        confinement: Confinement,
        uid: int,
        template: Template,
    ) -> None:
        self._judge = sock
        self._limits = job["limits"]
        self._confinement = confinement
        self._uid = uid
        self._template = template
        self._hash_seed = 0
        self._tail = b""
        self._printed = 0
        self._recorded = 0
        self._ooms = oom_kills()

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
                replace(limits, descriptors=_DESCRIPTORS).amounts(),
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
        breach: tuple[str, str] | None = ("crash", "the judge went away")
        if self._hand_over(order_write, found, records_write):
            breach = self._pass_on(pid, records_read, out_read, started)
        return self._end(pid, breach, started)

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
        _unpack(zlib.decompress(base64.b64decode(parts["archive"])), tree)
        _write_metadata(f"{folder}/{META}", parts["name"], parts["version"])
        self._seal(folder, uid)

    def _seal(self, folder: str, uid: int) -> None:
        """Makes the one folder that the child may write to, and keeps it from the tree."""
        tree, tmp = f"{folder}/{TREE}", f"{folder}/{TMP}"
        if self._confinement.identity == "uids":
            os.setegid(uid)
            os.seteuid(uid)
            os.mkdir(tmp, 0o700)
            os.seteuid(0)
            os.setegid(0)
            os.chmod(folder, 0o755)
        else:
            os.mkdir(tmp, 0o700)
        if self._confinement.identity == "userns":
            flags = kernel.MS_BIND | kernel.MS_NOSUID | kernel.MS_NODEV
            kernel.mount(tree, tree, "", kernel.MS_BIND)
            kernel.mount("none", tree, "", kernel.MS_REMOUNT | kernel.MS_RDONLY | flags)

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

    def _pass_on(self, pid: int, records: int, out: int, started: float) -> tuple[str, str] | None:
        """Moves bytes until the process has ended, or breaks a limit."""
        allowed = float(self._limits["wall_seconds"])
        takers = {records: self._take_records, out: self._take_output}
        with selectors.DefaultSelector() as selector:
            for descriptor in takers:
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            try:
                while True:
                    left = started + allowed - time.monotonic()
                    if left <= 0:
                        return "timeout", f"more than {allowed:g} s of wall time"
                    gone = ended(pid)
                    ready = [key.fd for key, _ in selector.select(0 if gone else min(left, 0.05))]
                    for descriptor in ready:
                        data = os.read(descriptor, 1 << 16)
                        if not data:
                            selector.unregister(descriptor)
                        elif breach := takers[descriptor](data):
                            return breach
                    # a daemon that holds the pipes is not waited for
                    if gone and not ready:
                        return None
            finally:
                os.close(records)
                os.close(out)

    def _take_records(self, data: bytes) -> tuple[str, str] | None:
        self._recorded += len(data)
        if self._recorded > _RECORDS_LIMIT:
            return "output", f"more than {_RECORDS_LIMIT} bytes of records"
        self._judge.sendall(wire.dump({"bytes": data.hex()}))
        return None

    def _take_output(self, data: bytes) -> tuple[str, str] | None:
        self._printed += len(data)
        self._tail = (self._tail + data)[-_TAIL:]
        if self._printed > self._limits["output_bytes"]:
            return "output", f"more than {self._limits['output_bytes']} bytes of output"
        return None

    def _end(self, pid: int, breach: tuple[str, str] | None, started: float) -> dict[str, Any]:
        if breach:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        cpu = usage.ru_utime + usage.ru_stime
        limit = whole_seconds(self._limits["cpu_seconds"])
        signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if not breach and ran_out_of_cpu(signalled, cpu, limit):
            breach = ("timeout", f"more than {limit} s of cpu time")
        elif not breach and signalled == signal.SIGKILL and oom_kills() > self._ooms:
            breach = ("memory", "the kernel ran out of the container's memory")
        return {
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -signalled,
            "breach": breach,
            "cpu": cpu,
            "seconds": time.monotonic() - started,
            "rss": usage.ru_maxrss * 1024,
            "tail": self._tail.decode("utf-8", "replace"),
        }


def _unpack(archive: bytes, folder: str) -> None:
    """Writes out a tree; the controller made the archive, and looked at each name in it."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        for entry in packed:
            path = os.path.join(folder, entry.name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if entry.issym():
                os.symlink(entry.linkname, path)
            elif entry.isdir():
                os.makedirs(path, exist_ok=True)
            elif (source := packed.extractfile(entry)) is not None:
                with open(path, "wb") as target:
                    target.write(source.read())
                os.chmod(path, 0o755 if entry.mode & 0o100 else 0o644)


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
