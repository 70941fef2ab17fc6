"""A pristine copy of a repository's files, taken once, before any candidate is seen.

RepositoryError
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

_LEFT_OUT = frozenset({
    ".git", ".hg", ".svn", ".bzr", "__pycache__", "node_modules", ".tox", ".nox", ".eggs",
    ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".coverage",
    "__pypackages__", ".DS_Store",
})  # fmt: skip
_LEFT_OUT_ENDINGS = (".pyc", ".pyo", ".pth")


LeaveOut = Callable[[str], None]
"""Told what of a repository can't be taken, and why."""


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


def take_snapshot(
    folder: Path,
    limits: SnapshotLimits | None = None,
    *,
    leave_out: LeaveOut | None = None,
    keep: Iterable[str] = (),
) -> Snapshot:
    """Reads a repository from a folder of this machine; nothing of it is run.

    Args:
        folder: the repository's top.
        limits: how large it may be.
        leave_out: told, in a line each, what can't be taken and is left out for that: a link that
            leads out, and a file that can't be read, is too large, or whose name is no text. If
            not given, any of these is an error.
        keep: names of folders that a snapshot has not got otherwise.

    Raises:
        RepositoryError: there is no such folder, it is too large, or what is left out above.
    """
    bounds = limits or SnapshotLimits()
    refuse = leave_out or _refuse
    if not _is_folder(folder):
        raise RepositoryError(f"{folder} is no folder: name the top of a repository")
    top = folder.resolve()
    files: dict[str, File] = {}
    folders: set[str] = set()
    total = 0
    for path in _walk(top, top, refuse, frozenset(keep)):
        name = path.relative_to(top).as_posix()
        try:
            file = _read(top, path, name, bounds)
        except RepositoryError as error:
            refuse(str(error))
            continue
        if file is None:
            continue
        if leave_out is not None and file.link and _is_circle(path):
            leave_out(f"the link {name} leads in a circle")  # each round of it has all tests anew
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


def read_archive(
    data: bytes, limits: SnapshotLimits | None = None, *, keep: Iterable[str] = ()
) -> Snapshot:
    """The tree in a tar file that a stranger may have made; nothing is written anywhere.

    Args:
        data: of the file.
        limits: how large the tree may be.
        keep: names of folders that a snapshot has not got otherwise.

    Raises:
        RepositoryError: it is no tar file, too large, or has a name or link that leads out.
    """
    bounds = limits or SnapshotLimits()
    files: dict[str, File] = {}
    total, kept = 0, frozenset(keep)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                if _is_left_out(entry.name, kept) or not (entry.isreg() or entry.issym()):
                    continue
                total += entry.size
                if total > bounds.total_mb << 20 or len(files) > bounds.files:
                    raise RepositoryError(
                        f"the tree has more than {bounds.total_mb} MiB or {bounds.files} files"
                    )
                files[_inside(entry.name)] = _entry(archive, entry)
    except (tarfile.TarError, UnicodeError, EOFError) as error:
        raise RepositoryError(f"the tree can't be read: {error}") from None
    return Snapshot(files=files)


def _entry(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> File:
    if entry.issym():
        _inside(posixpath.join(posixpath.dirname(entry.name), entry.linkname))
        return File(link=entry.linkname)
    source = archive.extractfile(entry)
    content = source.read() if source is not None else b""
    return File(content=content, executable=bool(entry.mode & 0o100))


def _inside(name: str) -> str:
    """A plain path in the tree.

    Raises:
        RepositoryError: it leads out, or is no text.
    """
    plain = posixpath.normpath(name)
    if plain.startswith(("/", "../")) or plain in ("..", ".") or not _is_text(plain):
        raise RepositoryError(f"the name {name!r} leads out of the tree, or is no UTF-8")
    return plain


def _is_left_out(name: str, keep: frozenset[str] = frozenset()) -> bool:
    parts = set(PurePosixPath(name).parts) - keep
    return any(part in _LEFT_OUT or part.endswith(_LEFT_OUT_ENDINGS) for part in parts)


def _is_circle(link: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    home = link.parent.resolve()
    return Path(os.path.realpath(link)) in (home, *home.parents)


def _refuse(reason: str) -> None:
    raise RepositoryError(reason)


def _is_folder(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except (OSError, ValueError):
        return False


def _walk(top: Path, folder: Path, refuse: LeaveOut, keep: frozenset[str]) -> Iterator[Path]:
    name = folder.relative_to(top).as_posix()
    try:
        entries = sorted(os.scandir(folder), key=lambda found: found.name)
    except OSError as error:
        if folder == top:
            raise RepositoryError(f"{top} can't be read: {error.strerror}") from None
        refuse(f"{name} can't be read ({error.strerror}): give yourself the right to")
        return
    for entry in entries:
        if _is_left_out(entry.name, keep):
            continue
        path = Path(entry.path)
        if not _is_text(entry.name):
            shown = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
            refuse(f"the name {shown} is no UTF-8: rename it")
        elif entry.is_dir(follow_symlinks=False):
            if not _is_environment(path):
                yield from _walk(top, path, refuse, keep)
        else:
            yield path


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_environment(path: Path) -> bool:
    """Whether a folder is a virtual environment."""
    try:
        return (path / "pyvenv.cfg").exists()
    except OSError:
        return False


def _read(top: Path, path: Path, name: str, limits: SnapshotLimits) -> File | None:
    """One file as it is; `None` for what is neither file nor link.

    Raises:
        RepositoryError: it can't be taken.
    """
    try:
        if path.is_symlink():
            target = path.readlink()
            if target.is_absolute() or not Path(os.path.realpath(path)).is_relative_to(top):
                raise RepositoryError(f"the link {name} leads out of the repository: remove it")
            return File(link=str(target))
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        # not followed, should a link have come in its place meanwhile
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return None
            if found.st_size > limits.file_mb << 20:
                raise RepositoryError(f"{name} has more than {limits.file_mb} MiB: remove it")
            return File(content=file.read(), executable=bool(found.st_mode & 0o100))
    except FileNotFoundError:
        return None  # it went in the meantime
    except OSError as error:
        raise RepositoryError(
            f"{name} can't be read ({error.strerror}): give yourself the right to"
        ) from None
