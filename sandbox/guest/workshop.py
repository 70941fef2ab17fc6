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
from .limits import rlimits
from .supervised import DESCRIPTORS, TMP, TREE, Breach, Supervised, unpack

_PACKED_LIMIT = 20 << 20
"""Bytes of the packed tree: as text it has to fit into one report of a judge."""
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


class _Run(Supervised):
    """One run of a command, from its process's start to its end."""

    def __init__(
        self, limits: dict[str, Any], confinement: Confinement, uid: int, base_bytes: int
    ) -> None:
        super().__init__(limits)
        self._confinement = confinement
        self._uid = uid
        self._base_bytes = base_bytes
        self._packed = bytearray()

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Starts the process, takes what it prints and packs, and says how it ended."""
        started = time.monotonic()
        folder = self._confinement.folder
        archive = zlib.decompress(base64.b64decode(order["archive"]))
        site = [path for path in sys.path if path in self._confinement.read]
        (tree_read, tree_write), (out_read, out_write) = (os.pipe2(os.O_CLOEXEC) for _ in range(2))
        limits = replace(rlimits(self._limits, self._base_bytes), descriptors=DESCRIPTORS)
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
                    write=(f"{folder}/{TREE}", f"{folder}/{TMP}"),
                ),
            )
        finally:
            os.close(tree_write)
            os.close(out_write)
        breach = self.watch(pid, tree_read, self._take_tree, out_read, started)
        return self._result(self.end(pid, breach, started))

    def _fill(self, folder: str, uid: int, archive: bytes) -> None:
        """Runs in the child while it is still the server; all that it makes is the child's."""
        if self._confinement.identity == "uids":
            os.setegid(uid)
            os.seteuid(uid)
        os.umask(0o022)
        os.mkdir(f"{folder}/{TMP}", 0o700)
        os.mkdir(f"{folder}/{TREE}")
        unpack(archive, f"{folder}/{TREE}")
        if self._confinement.identity == "uids":
            os.seteuid(0)
            os.setegid(0)

    def _take_tree(self, data: bytes) -> Breach | None:
        self._packed += data
        if len(self._packed) > _PACKED_LIMIT:
            return "disk", f"a tree of more than {_PACKED_LIMIT >> 20} MiB even when compressed"
        return None

    def _result(self, end: dict[str, Any]) -> dict[str, Any]:
        """What is told of the command; its own status, unless the process was ended by a signal."""
        code, archive = _parts(bytes(self._packed))
        whole = code == 0 and not end["breach"]
        return {
            "code": end["code"] if end["code"] < 0 else code,
            "breach": end["breach"],
            "archive": base64.b64encode(archive).decode() if whole else "",
            "seconds": end["seconds"],
            "tail": end["tail"],
        }


def _parts(packed: bytes) -> tuple[int, bytes]:
    """The command's exit status and the tree; status 1 where the packing came to no end."""
    if len(packed) < _LENGTH.size:
        return 1, b""
    (length,) = _LENGTH.unpack_from(packed)
    head = packed[_LENGTH.size : _LENGTH.size + length]
    return int(json.loads(head)), packed[_LENGTH.size + length :]


def _work(folder: str, command: str, site: list[str], out: int) -> None:
    """Runs the command and packs the tree, locked down."""
    tree, tmp = f"{folder}/{TREE}", f"{folder}/{TMP}"
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
