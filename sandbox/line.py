"""A socket of our own to the judge's server in a container, past the engine.

What goes over an attached stream is copied by the engine and by the container's shim, each way and
for each message: a twentieth of a verdict. So where the engine is on this machine, the judge's
container gets to see a folder with one socket in it, to which its server connects once. The name of
the socket is gone as soon as it has, and the candidates' container never sees the folder. Where the
server can't connect (the engine keeps its containers in a machine of their own), the attached
stream goes on doing it all. It stays open in any case: with its end the container ends.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
from pathlib import Path

FOLDER = "/run/regreen"
"""Where the container sees the folder."""

NAME = "line"
"""The socket's name in it."""


class Line:
    """The controller's end, before the server has connected.

    Args:
        folder: where the folder of the socket is made; nobody else may enter it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o755)
        self.folder.chmod(0o755)  # the container's root owns nothing here
        self._listener = socket.socket(socket.AF_UNIX)
        path = self.folder / NAME
        self._listener.bind(str(path))
        path.chmod(0o666)
        self._listener.listen(1)
        self._listener.setblocking(False)

    def accept(self) -> socket.socket | None:
        """The connection, if the server has made one; no other can be made afterwards."""
        connection: socket.socket | None = None
        with contextlib.suppress(OSError):
            connection, _address = self._listener.accept()
            connection.setblocking(False)
        self.close()
        return connection

    def close(self) -> None:
        """Removes the folder. Idempotent."""
        self._listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)
