"""What all supervisors of a repository's suite share: a sealed tree, and records passed on unread.

Trusted guest code, on the candidates' side. `repository` runs a suite in one process,
`repository_files` one for each file.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from . import kernel, wire
from .confine import Confinement, empty_folder
from .supervised import META, TMP, TREE, Breach, Supervised

_RECORDS_LIMIT = 24 << 20


class SuiteRun(Supervised):
    """One run of a suite.

    Args:
        sock: to the judge.
        job: whose limits count.
        confinement: of the slot.
        uid: of the run.
    """

    def __init__(
        self, sock: socket.socket, job: dict[str, Any], confinement: Confinement, uid: int
    ) -> None:
        super().__init__(job["limits"])
        self._judge = sock
        self._confinement = confinement
        self._uid = uid
        self._recorded = 0

    def seal(self, folder: str, uid: int) -> None:
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

    def pass_on(self, data: bytes) -> Breach | None:
        """Passes records on to the judge."""
        self._recorded += len(data)
        if self._recorded > _RECORDS_LIMIT:
            return "output", f"more than {_RECORDS_LIMIT} bytes of records"
        self._judge.sendall(wire.dump({"bytes": data.hex()}))
        return None


def clear(confinement: Confinement) -> None:
    """Removes what is the server's own in the folder; the rest is removed as the run's user."""
    if confinement.identity == "userns":
        return  # it went with its mount
    folder = confinement.folder
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o777 if confinement.identity == "uids" else 0o700)
    for name in (TREE, META):
        with contextlib.suppress(OSError):
            empty_folder(f"{folder}/{name}")
            os.rmdir(f"{folder}/{name}")
