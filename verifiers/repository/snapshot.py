"""A pristine copy of a repository's files, taken once, before any candidate is seen.

RepositoryError
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

_LEFT_OUT = frozenset({
    ".git", ".hg", ".svn", ".bzr", "__pycache__", "node_modules", ".tox", ".nox", ".eggs",
    ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".coverage",
    "__pypackages__", ".DS_Store",
})  # fmt: skip
_LEFT_OUT_ENDINGS = (".pyc", ".pyo", ".pth")


class RepositoryError(Exception):
    """A repository can't be judged. The message is one line that says what to do."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SnapshotLimits(_Frozen):
    """How large a repository may be, without what is left out.

    Attributes:
        files: files and folders together.
        total_mb: MiB of all files.
        file_mb: MiB of one file.
    """

    files: int = 12_000
    total_mb: int = 64
    file_mb: int = 16


class File(_Frozen):
    """One file, or a link to another one in the tree."""

    content: bytes = b""
    executable: bool = False
    link: str = ""


class Snapshot(_Frozen):
    """A repository's files by their paths, `/` between the parts.

    It has no history, caches, byte code, virtual environments or `.pth` files.
    """

    files: dict[str, File]

    def text(self, path: str) -> str | None:
        """A file's text, or `None` if there is no such file."""
        found = self.files.get(path)
        return None if found is None else found.content.decode("utf-8", "replace")

    @property
    def entries(self) -> int:
        """How many files and folders there are."""
        folders = {parent for path in self.files for parent in PurePosixPath(path).parents}
        return len(self.files) + len(folders)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(len(file.content) for file in self.files.values())

    def changed(self, files: Mapping[str, str | None]) -> Snapshot:
        """A copy with these texts in place; `None` removes a file."""
        result = dict(self.files)
        for path, text in files.items():
            if text is None:
                result.pop(path, None)
            else:
                old = self.files.get(path)
                executable = old is not None and old.executable
                result[path] = File(content=text.encode(), executable=executable)
        return Snapshot(files=result)

    def archive(self) -> bytes:
        """A tar file of the tree, the same bytes for the same content."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path, file in sorted(self.files.items()):
                entry = tarfile.TarInfo(path)
                if file.link:
                    entry.type, entry.linkname = tarfile.SYMTYPE, file.link
                    archive.addfile(entry)
                else:
                    entry.size = len(file.content)
                    entry.mode = 0o755 if file.executable else 0o644
                    archive.addfile(entry, io.BytesIO(file.content))
        return buffer.getvalue()


def take_snapshot(folder: Path, limits: SnapshotLimits | None = None) -> Snapshot:
    """Reads a repository from a folder of this machine; nothing of it is run.

    Args:
        folder: the repository's top.
        limits: how large it may be.

    Raises:
        RepositoryError: there is no such folder, it is too large, or a link leads out of it.
    """
    bounds = limits or SnapshotLimits()
    if not folder.is_dir():
        raise RepositoryError(f"{folder} is no folder: name the top of a repository")
    top = folder.resolve()
    files: dict[str, File] = {}
    folders: set[str] = set()
    total = 0
    for path in _walk(top):
        name = path.relative_to(top).as_posix()
        file = _read(top, path, name, bounds)
        if file is None:
            continue
        files[name] = file
        folders.update(parent.as_posix() for parent in Path(name).parents)
        total += len(file.content)
        if len(files) + len(folders) > bounds.files:
            raise RepositoryError(
                f"{folder} has more than {bounds.files} files and folders: name a smaller part"
            )
        if total > bounds.total_mb << 20:
            raise RepositoryError(
                f"{folder} has more than {bounds.total_mb} MiB of files: name a smaller part"
            )
    return Snapshot(files=files)


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda found: found.name):
        if entry.name in _LEFT_OUT or entry.name.endswith(_LEFT_OUT_ENDINGS):
            continue
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if not (path / "pyvenv.cfg").exists():
                yield from _walk(path)
        else:
            yield path


def _read(top: Path, path: Path, name: str, limits: SnapshotLimits) -> File | None:
    """One file as it is; `None` for what is neither file nor link."""
    if path.is_symlink():
        target = path.readlink()
        if target.is_absolute() or not Path(os.path.realpath(path)).is_relative_to(top):
            raise RepositoryError(f"the link {name} leads out of the repository: remove it")
        return File(link=str(target))
    # not followed, should a link have come in its place meanwhile
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        if found.st_size > limits.file_mb << 20:
            raise RepositoryError(f"{name} has more than {limits.file_mb} MiB: remove it")
        return File(content=file.read(), executable=bool(found.st_mode & 0o100))
