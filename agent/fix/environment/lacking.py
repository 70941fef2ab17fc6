"""Which failing tests fail for want of something that no patch of the sources can bring."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from verifiers.repository import Snapshot

_ERROR = re.compile(r"^E\s+(?P<line>\S.*)$", re.MULTILINE)
_MODULE = re.compile(r"ModuleNotFoundError: No module named '(?P<name>[^']+)'")
_FIXTURE = re.compile(r"fixture '(?P<name>\w+)' not found")
_DISTRIBUTION = re.compile(
    r"PackageNotFoundError: (?:No package metadata was found for )?(?P<name>[\w.-]+)$"
)
_PROGRAM = re.compile(r"FileNotFoundError: \[Errno 2\] [^:]*: '(?P<name>[\w.+-]+)'$")
_NETWORK = re.compile(
    r"socket\.gaierror|NameResolutionError|Temporary failure in name resolution"
    r"|Max retries exceeded|urlopen error|(?:Connect|Connection)Error.*(?:resol|refused|Errno 1\b)"
)
_REFUSED = re.compile(r"PermissionError: \[Errno 1\] Operation not permitted$")
_SEMAPHORE = re.compile(r"(?:FileNotFoundError|PermissionError|OSError): \[Errno \d+\] [^:]*$")
_LOCALE = re.compile(r"locale\.Error: unsupported locale setting")
_READ_ONLY = re.compile(r"OSError: \[Errno 30\]|PermissionError: \[Errno 13\] [^:]*: '")
_SOCKET_FRAMES = ("socket.py:", "asyncio/", "socketserver.py:", "selectors.py:", "http/client.py:")


def lacking(snapshot: Snapshot, details: Mapping[str, str]) -> dict[str, str]:
    """What each of some tests or files lacks, in words, by its id.

    A test that fails for lack of a module that no source has, of a fixture that no file defines, of
    the network, or of a folder to write to, is no target: the environment is what has to change.

    Args:
        snapshot: the repository.
        details: how each failed, the end of its traceback.
    """
    have = _Have(snapshot)
    found = {name: next(have.missing(detail), "") for name, detail in details.items()}
    return {name: reason for name, reason in found.items() if reason}


class _Have:
    """What a repository brings itself."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        paths = [PurePosixPath(path) for path in snapshot.files if path.endswith((".py", ".pyi"))]
        self._modules = {path.stem for path in paths}
        self._modules |= {part for path in paths for part in path.parts[:-1]}

    def missing(self, detail: str) -> Iterator[str]:
        """What the last error of a traceback is about."""
        errors = _ERROR.findall(detail) or detail.strip().splitlines()
        text = "\n".join(errors)
        last = next((line for line in errors if re.match(r"[\w.]+(?:Error|Exception)\b", line)), "")
        if found := _MODULE.search(text):
            top = found["name"].partition(".")[0]
            if top not in self._modules and top not in sys.stdlib_module_names:
                yield f"lacks a dependency: no module named {found['name']!r}"
        if (found := _FIXTURE.search(detail)) and not self._defines(found["name"]):
            yield f"lacks a dependency: no plug-in with the fixture {found['name']!r}"
        if found := _DISTRIBUTION.search(text):
            yield f"lacks a dependency: {found['name']!r} is not installed"
        if (found := _PROGRAM.search(last)) and "subprocess.py:" in detail:
            yield f"lacks the program {found['name']!r}"
        refused = _REFUSED.search(last) and any(frame in detail for frame in _SOCKET_FRAMES)
        if refused or _NETWORK.search(text):
            yield "needs the network, which no suite has here"
        if _SEMAPHORE.search(last) and "multiprocessing/synchronize.py:" in detail:
            yield "needs semaphores that processes share, which no suite has here"
        if _LOCALE.search(last):
            yield "lacks a locale: only C.UTF-8 is here for sure"
        if _READ_ONLY.search(last):
            yield f"writes where it may not: {last.partition(': ')[2]}"

    def _defines(self, name: str) -> bool:
        """Whether a file has a function of that name, which may be a fixture."""
        wanted = re.compile(rf"\bdef {name}\b|[\"']{name}[\"']")
        return any(
            wanted.search(self._snapshot.text(path) or "")
            for path in self._snapshot.files
            if path.endswith(".py")
        )
