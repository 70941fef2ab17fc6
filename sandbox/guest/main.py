"""Starts one of the two servers as the controller's first frame asks for."""

from __future__ import annotations

import gc
import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from . import kernel, lockdown, wire
from .confine import Confinement, usable_uids
from .lockdown import Rlimits

if TYPE_CHECKING:
    from .judge_server import JudgeServer
    from .zygote import Zygote

PRELOADED = (
    "abc", "array", "bisect", "cmath", "collections", "collections.abc", "copy", "dataclasses",
    "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "itertools",
    "json", "math", "numbers", "operator", "random", "re", "statistics", "string",
    "textwrap", "time", "types", "typing", "unicodedata",
)  # fmt: skip
"""What programs import most, loaded before the first fork."""

_LINK_SECONDS = 30.0


def main(config: dict[str, Any]) -> NoReturn:
    """Sets the machine up as configured, says hello, and serves until the stream ends."""
    try:
        link = _prepare(config)
        confinement = _confinement(config)
        hello = _hello(config, confinement)
        sys.path[:] = [path for path in sys.path if path] + config["paths"]
        server = _server(config, link, confinement)
        # A collection would touch every page and make each fork copy it; children collect again.
        gc.disable()
        gc.collect()
        gc.freeze()
        server.serve(hello)
    except BaseException as error:
        wire.write_all(1, wire.dump({"refused": f"{type(error).__name__}: {error}"[:500]}))
        os._exit(3)


def _server(
    config: dict[str, Any], link: socket.socket, confinement: Confinement
) -> JudgeServer | Zygote:
    """The server of the role, with all that its children will need imported."""
    for name in PRELOADED:
        __import__(name)
    if config["role"] == "judge":
        from .judge_server import JudgeServer

        return JudgeServer(link, confinement, heavy=config["heavy"])
    from .zygote import Zygote

    return Zygote(link, confinement, config.get("libraries", ""))


def _prepare(config: dict[str, Any]) -> socket.socket:
    link: socket.socket | None = None
    if "link_fd" in config:
        link = socket.socket(fileno=config["link_fd"])
    if config.get("namespaces"):
        from . import namespaces

        namespaces.enter(config["namespaces"])
    if link is None:
        link = _meet(config["role"], config["link_path"])
    if config.get("slots_folder"):
        for slot in range(config["slots"]):
            folder = f"{config['slot_root']}/{slot}"
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, 0o777 if config["identity"] == "uids" else 0o700)
    return link


def _meet(role: str, path: str) -> socket.socket:
    """The judge's server listens in the shared volume; the zygote connects; the name goes."""
    if role == "judge":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(1)
            listener.settimeout(_LINK_SECONDS)
            link, _address = listener.accept()
        os.unlink(path)
        link.settimeout(None)
        return link
    deadline = time.monotonic() + _LINK_SECONDS
    while True:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(path)
        except OSError:
            link.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return link


def _confinement(config: dict[str, Any]) -> Confinement:
    layers = tuple(config["layers"])
    confinement = Confinement(
        identity=config["identity"],
        uid_base=usable_uids(config["uid_base"]) if config["identity"] == "uids" else 0,
        slot_root=config["slot_root"],
        read=tuple(config["read"]),
        listed=tuple(config.get("listed", ())),
        layers=layers,
        scratch_bytes=config["scratch_bytes"],
    )
    if config["identity"] == "uids":
        # what a server of its kind needs: to change user, to kill, and nothing else
        kernel.set_capabilities(1 << 5 | 1 << 6 | 1 << 7)
    confinement.prepare()
    for slot in range(config["slots"]):
        confinement.reuse_ruleset(slot)
    return confinement


def _hello(config: dict[str, Any], confinement: Confinement) -> dict[str, Any]:
    """What this server is, after a trial run of its lock-down.

    Raises:
        OSError: a layer that was asked for can't be had.
    """
    reader, writer = os.pipe()
    limits = Rlimits(5, 1 << 40, 64, 1 << 20)
    pid = confinement.fork(0, confinement.next_uid(), limits, (), (-1, writer, writer), _trial)
    os.close(writer)
    said = b""
    while data := os.read(reader, 4096):
        said += data
    _, status = os.waitpid(pid, 0)
    os.close(reader)
    if said != b"locked down":
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise OSError(f"the lock-down failed: {lines[-1] if lines else f'status {status}'}")
    return {
        "role": config["role"],
        "python": sys.version.split()[0],
        "kernel": os.uname().release,
        "machine": kernel.MACHINE,
        "identity": confinement.identity,
        "layers": list(confinement.layers),
        "landlock": lockdown.landlock_abi(),
    }


def _trial() -> None:
    """Runs locked down: what must not work, must not work."""
    try:
        socket.socket(socket.AF_UNIX).close()
        os.write(1, b"a socket can be made")
    except PermissionError:
        os.write(1, b"locked down")
