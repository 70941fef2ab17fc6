"""Reads the files that make up a task, and turns what is wrong with one into one clear line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from tasks.model import TaskError

# Larger than any task; keeps a wrong path (a log, a dump) from filling memory.
_LARGEST_TEXT = 8 * 1024 * 1024


def read_text(path: Path, *, what: str, empty: bool = False) -> str:
    """The text of a UTF-8 file.

    Args:
        path: the file.
        what: what it is meant to be, for messages: `test file`.
        empty: whether a file without text is all right.

    Raises:
        TaskError: missing, a folder, unreadable, too large, binary, or empty.
    """
    try:
        if path.is_dir():
            raise TaskError(f"{path}: a folder, where a {what} was expected")
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_TEXT + 1)
    except FileNotFoundError:
        raise TaskError(f"{path}: no such {what}") from None
    except OSError as error:
        raise TaskError(f"{path}: can't be read ({error.strerror})") from None
    if len(data) > _LARGEST_TEXT:
        raise TaskError(f"{path}: larger than {_LARGEST_TEXT // 2**20} MiB, which no {what} is")
    if b"\0" in data:
        raise TaskError(f"{path}: binary, where a {what} in UTF-8 text was expected")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TaskError(f"{path}:{line}: not UTF-8 text, as a {what} must be") from None
    if not empty and not text.strip():
        raise TaskError(f"{path}: empty, where a {what} was expected")
    return text.replace("\r\n", "\n")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a `.jsonl` or `.jsonl.gz` file that hold something, numbered from 1.

    Raises:
        TaskError: missing, unreadable, no gzip data despite its name, or not UTF-8.
    """
    number = 0
    try:
        if path.is_dir():
            raise TaskError(f"{path}: a folder, where a .jsonl file was expected")
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for number, data in enumerate(stream, start=1):
                line = data.decode("utf-8-sig" if number == 1 else "utf-8")
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise TaskError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise TaskError(f"{path}:{number}: not UTF-8 text, as JSON lines must be") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise TaskError(f"{path}: ends in .gz but isn't whole gzip data") from None
    except OSError as error:
        raise TaskError(f"{path}: can't be read ({error.strerror or error})") from None
