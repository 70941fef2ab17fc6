"""Runs a repository's pytest suite: the supervisor, on the candidates' side, outside the suite.

Trusted guest code. It puts a fresh copy of the tree where the suite can read and not change it,
starts a Python of its own for the suite, locked down, and passes on to the judge, unread, what that
tells. It knows no expected id. What the process does is in `repository_process`, what is made
of its records in `repository_judge`.

From the judge: one frame, the order. To the judge: `{"bytes": hex}` as the records come, then
`{"ended": {...}}`.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import io
import json
import os
import selectors
import signal
import socket
import sys
import tarfile
import time
import zlib
from dataclasses import replace
from typing import Any

from . import kernel, wire
from .confine import Confinement, Furnishing, adopt_orphans, empty_folder
from .limits import ended, oom_kills, ran_out_of_cpu, rlimits, whole_seconds

TREE, TMP, META = "tree", "tmp", "meta"
_TAIL = 16_384
_RECORDS_LIMIT = 24 << 20
_DESCRIPTORS = 1024
_OPTIONS = ("-s", "-S", "-B", "-P", "-c")
"""No site, so no `.pth` file and no sitecustomize; no byte code; no folder of the script."""
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
    base_bytes: int,
    libraries: str,
) -> None:
    """Runs one suite and tells the judge of it as it goes."""
    adopt_orphans()
    order = wire.Reader(sock).receive()
    if order is None:
        return
    folder = confinement.folder
    try:
        end = _Run(sock, job, confinement, uid, base_bytes).run(order, libraries)
    except Exception as error:
        end = {"fault": f"the supervisor failed: {type(error).__name__}: {error}"}
    finally:
        _clear(confinement, folder)
        confinement.clean(uid)
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
        base_bytes: int,
    ) -> None:
        self._judge = sock
        self._job = job
        self._limits = job["limits"]
        self._confinement = confinement
        self._uid = uid
        self._base_bytes = base_bytes
        self._tail = b""
        self._printed = 0
        self._recorded = 0
        self._ooms = oom_kills()

    def run(self, order: dict[str, Any], libraries: str) -> dict[str, Any]:
        """Starts the process, passes its records on, and says how it ended."""
        started = time.monotonic()
        folder = self._confinement.folder
        archive = zlib.decompress(base64.b64decode(order["archive"]))
        site = [path for path in sys.path if path in self._confinement.read]
        found = [libraries, *site, f"{folder}/{META}"]
        settings = {
            "key": order["key"],
            "tree": f"{folder}/{TREE}",
            "libraries": [path for path in found if path],
            "roots": [f"{folder}/{TREE}/{root}".rstrip("/.") for root in order["roots"]],
            "arguments": order["arguments"],
            "changed": order["changed"],
            "seed": order["seed"],
            "hash_seed": order["hash_seed"],
        }
        (order_read, order_write), (records_read, records_write), (out_read, out_write) = (
            os.pipe2(os.O_CLOEXEC) for _ in range(3)
        )
        settings["descriptor"] = records_write
        try:
            limits = replace(rlimits(self._limits, self._base_bytes), descriptors=_DESCRIPTORS)
            pid = self._confinement.fork(
                self._uid,
                limits.amounts(),
                [records_write],
                (order_read, out_write, out_write),
                lambda _text, _descriptors: _become_python(folder, settings, records_write),
                furnishing=Furnishing(
                    fill=lambda where, uid: self._fill(where, uid, archive, order),
                    read=(f"{folder}/{TREE}", *settings["libraries"]),
                    write=(f"{folder}/{TMP}",),
                ),
            )
        finally:
            for descriptor in (order_read, records_write, out_write):
                os.close(descriptor)
        with contextlib.suppress(OSError):
            wire.write_all(order_write, json.dumps(settings).encode())
        os.close(order_write)
        breach = self._pass_on(pid, records_read, out_read, started)
        return self._end(pid, breach, started)

    def _fill(self, folder: str, uid: int, archive: bytes, order: dict[str, Any]) -> None:
        """Runs in the child while it is still the server: what is made here is not the child's."""
        os.umask(0o022)
        tree, tmp = f"{folder}/{TREE}", f"{folder}/{TMP}"
        os.mkdir(tree)
        _unpack(archive, tree)
        _write_metadata(f"{folder}/{META}", order["name"], order["version"])
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


def _become_python(folder: str, settings: dict[str, Any], records: int) -> None:
    """Replaces this process by a Python that inherits none of its memory."""
    tmp = f"{folder}/{TMP}"
    environment = {
        **_ENVIRONMENT,
        "HOME": tmp,
        "TMPDIR": tmp,
        "PYTHONHASHSEED": str(settings["hash_seed"]),
        "HYPOTHESIS_STORAGE_DIRECTORY": f"{tmp}/hypothesis",
    }
    os.chdir(settings["tree"])
    os.set_inheritable(records, True)
    text = _process_text()
    # its own path as its name: by that it finds its library
    os.execve(sys.executable, [sys.executable, *_OPTIONS, text], environment)


def _process_text() -> str:
    """The two modules of the suite's process as one program."""
    lines = ["from __future__ import annotations"]
    for name in ("repository_guard", "repository_process"):
        spec = importlib.util.find_spec(f"{__package__}.{name}")
        # the loader of `boot`, which has them all
        source: str = spec.loader.sources[spec.name]  # type: ignore[union-attr]
        lines += [
            line
            for line in source.splitlines()
            if not line.startswith(("from __future__ ", "from .repository_guard "))
        ]
    return "\n".join(lines)
