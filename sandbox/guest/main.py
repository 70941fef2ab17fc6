"""Starts one of the two servers as the controller's first frame asks for."""

from __future__ import annotations

import gc
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from . import kernel, lockdown, pages, wire
from .confine import Confinement, usable_uids
from .rehearsal import rehearse

if TYPE_CHECKING:
    from .judge_server import JudgeServer
    from .zygote import Zygote

PRELOADED = (
    "abc", "bisect", "collections", "collections.abc", "copy", "dataclasses", "datetime", "decimal",
    "fractions", "functools", "heapq", "itertools", "json", "math", "operator", "random", "re",
    "string", "time", "types", "typing",
)  # fmt: skip
"""What programs import most, loaded before the first fork. Not more: all of it is in each fork."""

_LINK_SECONDS = 30.0


def main(config: dict[str, Any], on_imported: Callable[[], None]) -> NoReturn:
    """Sets the machine up as configured, says hello, and serves until the stream ends.

    Args:
        config: what `sandbox.launch` and the engine's backend say.
        on_imported: called when all that every run needs has been imported.
    """
    output = os.dup(1)  # what a server prints must not look like a frame, so it gives 1 up
    hash_seed = os.environ.get("PYTHONHASHSEED", "")  # there is no environment to ask later
    try:
        link = _prepare(config)
        confinement = _confinement(config)
        hello = _hello(config, confinement)
        sys.path[:] = [path for path in sys.path if path] + config["paths"]
        server = _server(config, link, confinement, hash_seed)
        on_imported()
        # A collection would touch every page and make each fork copy it; runs collect again.
        rehearse(config["role"])
        gc.disable()
        gc.collect()
        gc.freeze()
        if config["role"] == "zygote":
            pages.own_text()
        server.settle()
        hello["line"] = _take_line(config, server)
        wire.write_all(output, wire.dump({"hello": hello}))
        server.serve()
    except BaseException as error:
        wire.write_all(output, wire.dump({"refused": f"{type(error).__name__}: {error}"[:500]}))
        os._exit(3)


def _server(
    config: dict[str, Any], link: socket.socket, confinement: Confinement, hash_seed: str
) -> JudgeServer | Zygote:
    """The server of the role, with all that its children will need imported."""
    for name in PRELOADED:
        __import__(name)
    if config["role"] == "judge":
        from .judge_server import JudgeServer

        return JudgeServer(link, confinement, config["slots"], heavy=config["heavy"])
    from .zygote import Zygote

    return Zygote(link, confinement, config["slots"], config.get("libraries", ""), hash_seed)


def _take_line(config: dict[str, Any], server: JudgeServer | Zygote) -> bool:
    """Connects to the controller past the engine, if there is a way."""
    if not config.get("line_path"):
        return False
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(config["line_path"])
    except OSError:
        line.close()
        return False
    server.loop.use(line)
    return True


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
    confinement = Confinement(
        identity=config["identity"],
        uid_base=usable_uids(config["uid_base"]) if config["identity"] == "uids" else 0,
        slot_root=config["slot_root"],
        read=tuple(config["read"]),
        listed=tuple(config.get("listed", ())),
        layers=tuple(config["layers"]),
        scratch_bytes=config["scratch_bytes"],
        own_network=bool(config.get("own_network")),
    )
    if config["identity"] == "uids":
        # what a server of its kind needs: to change user, to kill, and nothing else
        kernel.set_capabilities(1 << 5 | 1 << 6 | 1 << 7)
    confinement.prepare()
    return confinement


def _hello(config: dict[str, Any], confinement: Confinement) -> dict[str, Any]:
    """What this server is."""
    return {
        "role": config["role"],
        "python": sys.version.split()[0],
        "kernel": os.uname().release,
        "machine": kernel.MACHINE,
        "identity": confinement.identity,
        "layers": list(confinement.layers),
        "landlock": lockdown.landlock_abi(),
    }
