"""Runs a repository's own setup command over a copy of its tree, which it may change.

Trusted guest code, on the candidates' side. The command is a stranger's like any other program: it
runs locked down, without network and without a word of the controller's environment. Whoever packs
the tree afterwards is as locked down as the command was, and shares nothing with it but the tree.

From the judge's side: one frame, the order. To it: `{"ended": {...}}`, with the tree in it.
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

from . import wire
from .confine import Confinement, Furnishing, adopt_orphans
from .limits import ended, oom_kills, ran_out_of_cpu, rlimits, whole_seconds

_TREE, _TMP = "tree", "tmp"
_TAIL = 16_384
_PACKED_LIMIT = 20 << 20
"""Bytes of the packed tree: as text it has to fit into one report of a judge."""
_DESCRIPTORS = 1024
_LENGTH = struct.Struct(">I")
_NO_SHELL = 127


def serve(
    sock: socket.socket, job: dict[str, Any], confinement: Confinement, uid: int, base_bytes: int
) -> None:
    """Runs one command and tells what came of it."""
    adopt_orphans()
    order = wire.Reader(sock).receive()
    if order is None:
        return
    try:
        end = _Run(job["limits"], confinement, uid, base_bytes).run(order)
    except Exception as error:
        end = {"fault": f"the supervisor failed: {type(error).__name__}: {error}"}
    confinement.clean(uid)
    with contextlib.suppress(OSError):
        sock.sendall(wire.dump({"ended": end}))


class _Run:
    """One run of a command, from its process's start to its end."""

    def __init__(
        self, limits: dict[str, Any], confinement: Confinement, uid: int, base_bytes: int
    ) -> None:
        self._limits = limits
        self._confinement = confinement
        self._uid = uid
        self._base_bytes = base_bytes
        self._tail = b""
        self._printed = 0
        self._packed = bytearray()
        self._ooms = oom_kills()

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Starts the process, takes what it prints and packs, and says how it ended."""
        started = time.monotonic()
        folder = self._confinement.folder
        archive = zlib.decompress(base64.b64decode(order["archive"]))
        site = [path for path in sys.path if path in self._confinement.read]
        (tree_read, tree_write), (out_read, out_write) = (os.pipe2(os.O_CLOEXEC) for _ in range(2))
        limits = replace(rlimits(self._limits, self._base_bytes), descriptors=_DESCRIPTORS)
        try:
            pid = self._confinement.fork(
                self._uid,
                limits.amounts(),
                [tree_write],
                (-1, out_write, out_write),
                lambda _text, kept: _work(folder, order["command"], site, kept[0]),
                furnishing=Furnishing(
                    fill=lambda where, uid: self._fill(where, uid, archive),
                    read=tuple(site),
                    write=(f"{folder}/{_TREE}", f"{folder}/{_TMP}"),
                ),
            )
        finally:
            os.close(tree_write)
            os.close(out_write)
        return self._end(pid, self._take(pid, tree_read, out_read, started), started)

    def _fill(self, folder: str, uid: int, archive: bytes) -> None:
        """Runs in the child while it is still the server; all that it makes is the child's."""
        if self._confinement.identity == "uids":
            os.setegid(uid)
            os.seteuid(uid)
        os.umask(0o022)
        os.mkdir(f"{folder}/{_TMP}", 0o700)
        os.mkdir(f"{folder}/{_TREE}")
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            for entry in packed:
                _unpack(packed, entry, f"{folder}/{_TREE}/{entry.name}")
        if self._confinement.identity == "uids":
            os.seteuid(0)
            os.setegid(0)

    def _take(self, pid: int, tree: int, out: int, started: float) -> tuple[str, str] | None:
        """Moves bytes until the process has ended, or breaks a limit."""
        allowed = float(self._limits["wall_seconds"])
        takers = {tree: self._take_tree, out: self._take_output}
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
                    if gone and not ready:
                        return None
            finally:
                os.close(tree)
                os.close(out)

    def _take_tree(self, data: bytes) -> tuple[str, str] | None:
        self._packed += data
        if len(self._packed) > _PACKED_LIMIT:
            return "disk", f"a tree of more than {_PACKED_LIMIT >> 20} MiB even when compressed"
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
        code, archive = _parts(bytes(self._packed))
        return {
            "code": -signalled if signalled else code,
            "breach": breach,
            "archive": base64.b64encode(archive).decode() if code == 0 and not breach else "",
            "seconds": time.monotonic() - started,
            "tail": self._tail.decode("utf-8", "replace"),
        }


def _parts(packed: bytes) -> tuple[int, bytes]:
    """The command's exit status and the tree; status 1 where the packing came to no end."""
    if len(packed) < _LENGTH.size:
        return 1, b""
    (length,) = _LENGTH.unpack_from(packed)
    head = packed[_LENGTH.size : _LENGTH.size + length]
    return int(json.loads(head)), packed[_LENGTH.size + length :]


def _unpack(packed: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
    """Writes out one file; the controller made the archive, and looked at each name in it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if entry.issym():
        os.symlink(entry.linkname, path)
    elif (source := packed.extractfile(entry)) is not None:
        with open(path, "wb") as target:
            target.write(source.read())
        os.chmod(path, 0o755 if entry.mode & 0o100 else 0o644)


def _work(folder: str, command: str, site: list[str], out: int) -> None:
    """Runs the command and packs the tree, locked down."""
    tree, tmp = f"{folder}/{_TREE}", f"{folder}/{_TMP}"
    os.mkdir(f"{tmp}/bin")
    for name in ("python", "python3"):
        os.symlink(sys.executable, f"{tmp}/bin/{name}")
    environment = {
        "PATH": f"{tmp}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": tmp,
        "TMPDIR": tmp,
        "PYTHONPATH": os.pathsep.join(site),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "315532800",
    }
    os.umask(0o022)
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.chdir(tree)
            os.execve("/bin/sh", ["/bin/sh", "-c", command], environment)
        os._exit(_NO_SHELL)
    _, status = os.waitpid(pid, 0)
    code = json.dumps(os.waitstatus_to_exitcode(status)).encode()
    body = _pack(tree) if code == b"0" else b""
    wire.write_all(out, _LENGTH.pack(len(code)) + code + body)


def _pack(tree: str) -> bytes:
    """The tree as it is now, without what is neither file nor link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder, folders, names in os.walk(tree):
            folders.sort()
            # a link to a folder is listed among the folders, and is not followed
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in sorted([*names, *links]):
                path = os.path.join(folder, name)
                entry = archive.gettarinfo(path, os.path.relpath(path, tree))
                if entry is None or not (entry.isreg() or entry.issym() or entry.islnk()):
                    continue
                if entry.issym():
                    archive.addfile(entry)
                    continue
                entry.type, entry.linkname = tarfile.REGTYPE, ""
                with open(path, "rb") as file:
                    entry.size = os.fstat(file.fileno()).st_size
                    archive.addfile(entry, file)
    return zlib.compress(buffer.getvalue(), 6)
