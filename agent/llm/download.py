"""Fetches one large file so that an interrupted download can go on where it stopped."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx
import stamina

from agent.llm.base import ModelConfigError, ModelUnavailableError
from agent.llm.redaction import one_line

Progress = Callable[[int, int | None], None]
CHUNK = 2**20
_LOCK_POLL_SECONDS = 0.2


class RefusedError(ModelUnavailableError):
    """The server refuses the file by HTTP status, or can't be trusted; asking again won't help."""


class _BrokenOffError(Exception):
    """The connection ended early; what came is kept."""


def download(
    url: str,
    target: Path,
    *,
    what: str,
    sha256: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    check: Callable[[Path], None] | None = None,
    attempts: int = 5,
) -> None:
    """Fetches `url` to `target`, whole and checked, or not at all.

    What has arrived is kept beside it as `.part`, and the next call goes on from there if the
    server still has the same file (same ETag, or a pinned checksum to find out by).

    Args:
        url: where it is.
        target: where it goes; appears only when it is complete.
        what: its name, for messages (a URL may hold a key).
        sha256: the checksum it must have, in hex.
        headers: such as an authorization; not sent on to other hosts, and never shown.
        progress: told bytes done and in all; may raise to stop.
        check: looks at the complete file and raises a `ModelError` to refuse it.
        attempts: tries in all after broken connections.

    Raises:
        ModelConfigError: the disk is full or the folder not writable.
        ModelUnavailableError: no network, refused, broken off, or a wrong checksum.
    """
    part = target.with_name(target.name + ".part")
    tag = target.with_name(target.name + ".part.etag")
    resumed = part.exists()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in stamina.retry_context(
            on=_BrokenOffError, attempts=attempts, timeout=None, wait_initial=0.2, wait_max=5.0
        ):
            with attempt:
                _fetch(url, part, tag, what, sha256 is not None, headers or {}, progress)
        expected = sha256 or _stated_checksum(tag)
        if expected and (actual := file_sha256(part)) != expected.lower():
            part.unlink()
            tag.unlink(missing_ok=True)
            if resumed:  # the older half was of another file: once more, from the start
                return download(
                    url,
                    target,
                    what=what,
                    sha256=sha256,
                    headers=headers,
                    progress=progress,
                    check=check,
                    attempts=attempts,
                )
            raise RefusedError(
                f"{what}: wrong checksum: sha256 {actual} instead of {expected}; the file was"
                " thrown away"
            )
        if check is not None:
            try:
                check(part)
            except Exception:
                part.unlink()
                raise
        part.replace(target)
        tag.unlink(missing_ok=True)
    except _BrokenOffError as error:
        kept = part.stat().st_size if part.exists() else 0
        resume = f"; {kept / 1e6:.0f} MB are kept, call again to go on" if kept else ""
        raise ModelUnavailableError(f"{what}: can't be fetched ({error}){resume}") from None
    except OSError as error:
        raise disk_error(error, target.parent, what) from None


def _fetch(
    url: str,
    part: Path,
    tag: Path,
    what: str,
    pinned: bool,
    headers: Mapping[str, str],
    progress: Progress | None,
) -> None:
    """One request that appends to `part`, or starts it again."""
    etag = tag.read_text().splitlines()[0] if tag.exists() and tag.stat().st_size else ""
    have = part.stat().st_size if part.exists() and (pinned or etag) else 0
    ask = {"Accept-Encoding": "identity", **headers}
    if have:
        ask["Range"] = f"bytes={have}-"
        if etag:
            ask["If-Range"] = etag
    try:
        with (
            httpx.Client(
                follow_redirects=True, timeout=30.0, verify=ssl.create_default_context()
            ) as client,
            client.stream("GET", url, headers=ask) as response,
        ):
            if response.status_code == 416:
                # We hold as much as there is, or more: the checksum tells whether it is right.
                if not response.headers.get("content-range", "").endswith(f"/{have}"):
                    part.unlink()
                    raise _BrokenOffError("the file has changed at the server")
                return
            if response.status_code not in (200, 206):
                _refuse(response.status_code, what)
            start = _offset(response) if response.status_code == 206 else 0
            if start > have:
                raise _BrokenOffError("the server resumes at the wrong place")
            length = response.headers.get("content-length", "")
            total = start + int(length) if length.isdigit() else None
            _remember(tag, response)
            with part.open("r+b" if part.exists() else "wb") as file:
                if file.seek(0, os.SEEK_END) > start:
                    file.truncate(start)
                file.seek(start)
                _copy(response, file, start, total, progress)
    except httpx.InvalidURL:
        raise ModelConfigError(f"{what}: no valid address") from None
    except httpx.UnsupportedProtocol:
        raise ModelConfigError(f"{what}: only http and https addresses can be fetched") from None
    except httpx.HTTPError as error:
        if "CERTIFICATE_VERIFY" in str(error):
            raise RefusedError(f"{what}: the server's certificate is not trusted") from None
        raise _BrokenOffError(one_line(str(error)) or type(error).__name__) from None


def _copy(
    response: httpx.Response,
    file: BinaryIO,
    done: int,
    total: int | None,
    progress: Progress | None,
) -> None:
    if progress:
        progress(done, total)
    # Without a chunk size: what would be held back to fill a chunk is lost when the line breaks.
    for chunk in response.iter_bytes():
        file.write(chunk)
        done += len(chunk)
        if progress:
            progress(done, total)
    file.flush()
    os.fsync(file.fileno())


def _refuse(status: int, what: str) -> None:
    if status in (408, 425, 429) or status >= 500:
        raise _BrokenOffError(f"the server answers {status}")
    hints = {401: "a token is needed", 403: "access is not granted", 404: "there is no such file"}
    hint = f": {hints[status]}" if status in hints else ""
    raise RefusedError(f"{what}: the server answers {status}{hint}")


def _offset(response: httpx.Response) -> int:
    """Where a partial answer begins, from `Content-Range: bytes START-END/TOTAL`."""
    span = response.headers.get("content-range", "").removeprefix("bytes ").split("-")[0].strip()
    if not span.isdigit():
        raise _BrokenOffError("the server sends a part without saying which")
    return int(span)


def _remember(tag: Path, response: httpx.Response) -> None:
    """Keeps the ETag, to resume only the same file, and a checksum that the server states."""
    etag = response.headers.get("etag", "")
    stated = ""
    for answer in (*response.history, response):
        linked = answer.headers.get("x-linked-etag", "").strip('"')  # large files at Hugging Face
        if len(linked) == 64:
            stated = linked
    tag.write_text(f"{'' if etag.startswith('W/') else etag}\n{stated}\n")


def _stated_checksum(tag: Path) -> str | None:
    lines = tag.read_text().splitlines() if tag.exists() else []
    return lines[1] if len(lines) > 1 and lines[1] else None


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def disk_error(error: OSError, folder: Path, what: str) -> ModelConfigError:
    """A full or read-only disk, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = f"the disk is full at {folder}"
    else:
        reason = f"can't write to {folder} ({error.strerror or error})"
    return ModelConfigError(
        f"{what}: {reason}; make room there, or choose another folder with REGREEN_CACHE_DIR"
    )


@contextmanager
def locked(target: Path, progress: Progress | None) -> Iterator[None]:
    """Lets one process at a time fetch `target`; the others wait and then find it there.

    The lock is the kernel's: it ends with the process, however that ends.
    """
    lock = target.with_name(target.name + ".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a")
    except OSError as error:
        raise disk_error(error, lock.parent, target.name) from None
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if progress:
                    progress(0, None)
                time.sleep(_LOCK_POLL_SECONDS)
        yield
