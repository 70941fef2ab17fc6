"""The configuration frames that the two servers of a cell are started with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from .folders import PACKAGES
from .guest.lockdown import LAYERS

_UID_RANGES = range(2, 30_000)
_UIDS_PER_RANGE = 1 << 16

JUDGE_PACKAGES = f"/opt/regreen/judge/{PACKAGES}"
"""Where a server with a file system of its own finds the judge's libraries."""

SITE_PACKAGES = f"/opt/regreen/site/{PACKAGES}"
"""Likewise a task's requirements."""

PYTHON_OPTIONS = ("-s", "-S", "-B", "-c")
"""For the guest's interpreter: no user site, no site, no byte code; the text follows."""


def guest_environment(hash_seed: int) -> dict[str, str]:
    """What a server's interpreter has to find in its environment.

    Symbols are bound at once: bound at first use, each would be so again in every fork.
    """
    return {"PYTHONHASHSEED": str(hash_seed), "LANG": "C.UTF-8", "LD_BIND_NOW": "1"}


def random_uid_base() -> int:
    """The start of a range of user ids that other runs on this host are unlikely to have.

    Process limits count per user id of the host, so two runs must not share any.
    """
    return secrets.choice(_UID_RANGES) * _UIDS_PER_RANGE


@dataclass(frozen=True, slots=True)
class ServerPaths:
    """What the servers may see of the file system.

    Attributes:
        site: folder of the task's requirements, for both sides; empty if there are none.
        judge: folder of the judge's own libraries. On the other side they are on no program's path,
            and read by a repository's suite alone.
        read: everything that programs may read.
    """

    site: str
    judge: str
    read: tuple[str, ...]


def configuration(
    role: str,
    *,
    slots: int,
    identity: str,
    paths: ServerPaths,
    scratch_mb: int,
    layers: tuple[str, ...] = LAYERS,
    **extra: Any,
) -> dict[str, Any]:
    """One server's configuration.

    Args:
        role: `judge` or `zygote`.
        slots: how many runs it takes at a time.
        identity: how programs are told apart; see `sandbox.guest.confine`.
        paths: what it may see.
        scratch_mb: MiB of each slot's scratch space.
        layers: which layers of the lock-down to apply.
        extra: what only one backend needs (link, namespaces), and whether it has a network
            namespace of its own.
    """
    imports = [path for path in ((paths.judge,) if role == "judge" else ()) if path]
    imports += [paths.site] if paths.site else []
    return {
        "role": role,
        "slots": slots,
        "identity": identity,
        "uid_base": random_uid_base(),
        "slot_root": "/slots",
        "read": [*paths.read, *imports],
        "layers": list(layers),
        "scratch_bytes": scratch_mb << 20,
        "paths": imports,
        "libraries": paths.judge,
        "heavy": role == "judge" and bool(paths.judge),
        **extra,
    }
