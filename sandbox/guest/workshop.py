"""Runs a repository's own setup command over a copy of its tree, which it may change.

Trusted guest code, on the candidates' side. The command is a stranger's like any other program: it
runs locked down, without a word of the controller's environment, and without network but for a gate
to package indexes where the order has some. It finds a virtual environment to install into. Whoever
packs the tree afterwards is as locked down as the command was, and shares nothing with it but the
tree and that environment.

From the judge's side: one frame, the order. To it: `{"ended": {...}}`, with the tree in it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
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
from .index_gate import WHEELS, Gate, canonical
from .limits import rlimits
from .supervised import DESCRIPTORS, TMP, TREE, Breach, Supervised, unpack

_PACKED_LIMIT = 20 << 20
"""Bytes of the packed tree: as text it has to fit into one report of a judge."""
_LENGTH = struct.Struct(">I")
_NO_SHELL = 127
_GATE = "REGREEN_INDEX_GATE"
_PROGRAMS = "/opt/regreen/bin"
"""Where an image has `pip`: nothing in the scratch space of a container can be executed."""


def serve(
    sock: socket.socket,
    upstream: socket.socket,
    job: dict[str, Any],
    confinement: Confinement,
    uid: int,
    base_bytes: int,
) -> None:
    """Runs one command and tells what came of it; `upstream` leads to package indexes."""
    adopt_orphans()
    order = wire.Reader(sock).receive()
    if order is None:
        return
    gate: Gate | None = None
    try:
        if order["indexes"] and confinement.own_network:
            gate = Gate(upstream)
        end = _Run(job["limits"], confinement, uid, base_bytes, gate).run(order)
    except Exception as error:
        end = {"fault": f"the supervisor failed: {type(error).__name__}: {error}"}
    confinement.clean(uid)
    if gate is not None:
        gate.close()  # only now: who still asks would have to be waited for
    with contextlib.suppress(OSError):
        sock.sendall(wire.dump({"ended": end}))


class _Run(Supervised):
    """One run of a command, from its process's start to its end."""

    def __init__(
        self,
        limits: dict[str, Any],
        confinement: Confinement,
        uid: int,
        base_bytes: int,
        gate: Gate | None,
    ) -> None:
        super().__init__(limits)
        self._gate = gate
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
        gate = self._gate
        way = _installing(order["indexes"], gate.port) if gate is not None else {}
        way |= order["environment"]
        try:
            pid = self._confinement.fork(
                self._uid,
                limits.amounts(),
                [tree_write],
                (-1, out_write, out_write),
                lambda _text, kept: _work(folder, order, site, kept[0], way),
                furnishing=Furnishing(
                    fill=lambda where, uid: self._fill(where, uid, archive),
                    read=(*site, _PROGRAMS, *_system_facts()),
                    write=(f"{folder}/{TREE}", f"{folder}/{TMP}"),
                    port=gate.port if gate is not None else 0,
                ),
            )
        finally:
            os.close(tree_write)
            os.close(out_write)
        if gate is not None:
            gate.open()  # only now: a thread would not be in the fork, and its locks would
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
        code, installed, archive = _parts(bytes(self._packed))
        whole = code == 0 and not end["breach"]
        return {
            "code": end["code"] if end["code"] < 0 else code,
            "breach": end["breach"],
            "archive": base64.b64encode(archive).decode() if whole else "",
            "installed": installed if whole else [],
            "gated": self._gate is not None,
            "seconds": end["seconds"],
            "tail": end["tail"],
        }


def _parts(packed: bytes) -> tuple[int, list[list[str]], bytes]:
    """The command's exit status, what it installed from wheels, and the tree.

    It is status 1 where the packing came to no end.
    """
    if len(packed) < _LENGTH.size:
        return 1, [], b""
    (length,) = _LENGTH.unpack_from(packed)
    try:
        head = json.loads(packed[_LENGTH.size : _LENGTH.size + length])
        installed = [[str(name), str(version)] for name, version in head["installed"]]
        return int(head["code"]), installed, packed[_LENGTH.size + length :]
    except (ValueError, TypeError, KeyError):  # a stranger's, if anybody has meddled with it
        return 1, [], b""


def _installing(indexes: dict[str, int], port: int) -> dict[str, str]:
    """What tells pip and its like to ask the gate, and no file of settings."""
    at = f"http://127.0.0.1:{port}"
    addresses = [f"{at}/index/{number}/" for number in range(indexes["index"])]
    links = [f"{at}/links/{number}/" for number in range(indexes["links"])]
    found = {"PIP_FIND_LINKS": " ".join(links), "PIP_EXTRA_INDEX_URL": " ".join(addresses[1:]),
             "UV_FIND_LINKS": ",".join(links), "UV_EXTRA_INDEX_URL": " ".join(addresses[1:]),
             _GATE: at}  # fmt: skip
    if addresses:
        found |= {"PIP_INDEX_URL": addresses[0], "UV_INDEX_URL": addresses[0]}
    else:
        found |= {"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1"}
    return {name: value for name, value in found.items() if value}


def _system_facts() -> list[str]:
    """Files that say what system this is: installers read them where they see them."""
    names = [name for name in os.listdir("/etc") if name.endswith(("-release", "_version"))]
    return [f"/etc/{name}" for name in (*names, "mime.types", "ssl/openssl.cnf")]


def _work(
    folder: str, order: dict[str, Any], site: list[str], out: int, way: dict[str, str]
) -> None:
    """Runs the command and packs the tree, locked down."""
    tree, tmp = f"{folder}/{TREE}", f"{folder}/{TMP}"
    venv = f"{tmp}/venv"
    _make_venv(venv)
    with open(f"{tmp}/constraints.txt", "w") as file:
        file.write(order["constraints"])
    environment = {
        "PATH": f"{venv}/bin:{_PROGRAMS}:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": venv,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CONSTRAINT": f"{tmp}/constraints.txt",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INPUT": "1",
        "PIP_PROGRESS_BAR": "off",
        **way,
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
            os.execve("/bin/sh", ["/bin/sh", "-c", order["command"]], environment)
        os._exit(_NO_SHELL)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    built = f"{tree}/{order['built']}"
    installed = _take_installed(venv, tree, built, way.get(_GATE, "")) if code == 0 else []
    head = json.dumps({"code": code, "installed": installed}).encode()
    wire.write_all(out, _LENGTH.pack(len(head)) + head + (_pack(tree) if code == 0 else b""))


def _make_venv(folder: str) -> None:
    """A virtual environment of this Python, with `pip` to call by name where that can be."""
    python = os.path.realpath(sys.executable)
    os.makedirs(f"{folder}/bin")
    os.makedirs(_packages(folder))
    with open(f"{folder}/pyvenv.cfg", "w") as file:
        file.write(f"home = {os.path.dirname(python)}\ninclude-system-site-packages = false\n")
    for name in ("python", "python3"):
        os.symlink(python, f"{folder}/bin/{name}")
    if not os.statvfs(folder).f_flag & os.ST_NOEXEC:  # else `_PROGRAMS` has it
        for name in ("pip", "pip3"):
            with open(f"{folder}/bin/{name}", "w") as file:
                file.write('#!/bin/sh\nexec python -m pip "$@"\n')
            os.chmod(f"{folder}/bin/{name}", 0o755)


def _packages(venv: str) -> str:
    return f"{venv}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


def _take_installed(venv: str, tree: str, built: str, gate: str) -> list[list[str]]:
    """Copies into a folder what was built and installed, and names what came as a wheel.

    The tree's own project is neither: it is tested where it lies.
    """
    from importlib.metadata import distributions

    wheels = frozenset(map(tuple, _ask_wheels(gate))) if gate else frozenset()
    installed = []
    for found in distributions(path=[_packages(venv)]):
        name, version = canonical(found.metadata["Name"] or ""), str(found.version)
        if (name, version.replace("-", "_")) in wheels:
            installed.append([name, version])
            continue
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        is_tree = origin.get("url", "").rstrip("/") == f"file://{tree}"
        if is_tree or origin.get("dir_info", {}).get("editable"):
            continue
        for file in found.files or ():
            if ".." not in file.parts and not file.is_absolute() and os.path.isfile(file.locate()):
                target = os.path.join(built, file)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(file.locate(), target)
    return sorted(installed)


def _ask_wheels(gate: str) -> list[list[str]]:
    """Which wheels were asked for at the gate."""
    import http.client

    connection = http.client.HTTPConnection(gate.removeprefix("http://"))
    connection.request("GET", WHEELS)
    found: list[list[str]] = json.loads(connection.getresponse().read())
    return found


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
