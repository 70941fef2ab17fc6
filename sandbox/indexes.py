"""The package indexes of pip's configuration, for code that may see nothing else of the network.

A setup command in a sandbox asks for paths, and this side fetches what they stand for: pages of the
configured indexes, and files that these pages link to. Addresses, passwords, certificates and
proxies stay here. Whatever else is asked for does not exist.

    /index/<number>/<project>/   a project's page of an index (PEP 503, PEP 691)
    /links/<number>/             a page of files (pip's `find-links`)
    /files/<key>/<name>          a file that one of these pages links to

    PackageIndexes
"""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import html
import html.parser
import json
import netrc
import os
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

import anyio
import httpx
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from .wheels import RUN_PIP, canonical, pip_path

_PUBLIC = "https://pypi.org/simple"
"""What pip asks where nothing is configured."""

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5, */*;q=0.1"
_JSON = "application/vnd.pypi.simple.v1+json"
_PIECE = 1 << 20
_PAGE_BYTES = 64 << 20
_ALL_BYTES = 2 << 30
_MOST_REQUESTS = 10_000
_SECONDS = 60.0
_PATH = re.compile(
    r"/(?:index/(?P<index>\d{1,3})/(?P<project>[A-Za-z0-9._-]{1,200})|links/(?P<links>\d{1,3}))/?"
    r"|/files/(?P<key>[0-9a-f]{32})/[^/]+?(?P<metadata>\.metadata)?"
)
_FILES = (".whl", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".tar.zst", ".zip", ".tar")
_KEPT = ("data-requires-python", "data-yanked", "data-core-metadata", "data-dist-info-metadata")


@dataclass(frozen=True, slots=True)
class PipSettings:
    """What pip's files and variables say of indexes.

    Attributes:
        indexes: addresses, the first one first.
        links: addresses and folders of `find-links`.
        constraints: lines of the constraints.
        trusted: hosts, with port or without, whose certificate isn't looked at.
        certificates: a file or folder of authorities, or empty.
        client: a file with a certificate and key of ours, or empty.
        proxy: address of one, or empty.
        seconds: that a host may take to answer.
    """

    indexes: tuple[str, ...] = (_PUBLIC,)
    links: tuple[str, ...] = ()
    constraints: str = ""
    trusted: tuple[str, ...] = ()
    certificates: str = ""
    client: str = ""
    proxy: str = ""
    seconds: float = _SECONDS


def read_pip_settings() -> PipSettings:
    """Asks pip for its configuration: all its files, and the variables over them. Blocks.

    Raises:
        WheelError: there is no pip.
    """
    command = [sys.executable, "-c", RUN_PIP, pip_path(), "config", "list"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", check=False)  # fmt: skip
    return _read_settings(done.stdout)


def _read_settings(listed: str) -> PipSettings:
    by_rank: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        with contextlib.suppress(ValueError, SyntaxError):
            if section in by_rank:
                by_rank[section][name] = str(ast.literal_eval(value))
    found = by_rank["global"] | by_rank["install"] | by_rank[":env:"]

    def words(name: str) -> list[str]:
        return found.get(name, "").split()

    indexes = [found.get("index-url") or _PUBLIC, *words("extra-index-url")]
    if found.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        indexes = []
    try:
        seconds = float(found.get("timeout") or found.get("default-timeout") or _SECONDS)
    except ValueError:
        seconds = _SECONDS
    return PipSettings(
        indexes=tuple(indexes),
        links=tuple(words("find-links")),
        constraints="".join(_read_text(path) for path in words("constraint")),
        trusted=tuple(words("trusted-host")),
        certificates=found.get("cert", ""),
        client=found.get("client-cert", ""),
        proxy=found.get("proxy", ""),
        seconds=seconds,
    )


def _read_text(path: str) -> str:
    try:
        return Path(path).expanduser().read_text("utf-8", "replace") + "\n"
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class _File:
    """A file that an index has: its address, and what the page says of it."""

    url: str
    name: str
    fragment: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    auth: tuple[str, str] | None = None

    @property
    def key(self) -> str:
        return hashlib.sha256(self.url.encode()).hexdigest()[:32]

    @property
    def anchor(self) -> str:
        """As a page for installers has it."""
        target = f"/files/{self.key}/{quote(self.name)}"
        target += f"#{self.fragment}" if self.fragment else ""
        said = "".join(f' {name}="{html.escape(value)}"' for name, value in self.attributes.items())
        return f'<a href="{html.escape(target)}"{said}>{html.escape(self.name)}</a><br>'


class _Refused(Exception):
    """An answer that is none: status and reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class PackageIndexes:
    """Fetches for one setup command at a time. An asynchronous context manager.

    Args:
        settings: where to look and how.

    Attributes:
        fetched: names of the files that were asked for, in order.
    """

    def __init__(self, settings: PipSettings) -> None:
        self._settings = settings
        self._indexes = [_without_password(url) for url in settings.indexes]
        self._links = [_without_password(_as_url(link)) for link in settings.links]
        self._files: dict[str, _File] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="regreen-index-")
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._had: dict[str, tuple[Path, str]] = {}
        self._lock = anyio.Lock()
        self._requests = 0
        self._bytes = 0
        self.fetched: list[str] = []

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {"index": len(self._indexes), "links": len(self._links)}

    @property
    def wheels(self) -> frozenset[str]:
        """What was asked for as a wheel, as `name==version`."""
        found = set()
        for file in self.fetched:
            with contextlib.suppress(InvalidWheelFilename):
                name, version, *_ = parse_wheel_filename(file)
                found.add(f"{name}=={version}")
        return frozenset(found)

    def pins(self, installed: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        """Of what a stranger says it has installed, what was asked for, as `name==version`."""
        found = set()
        for name, version in installed:
            with contextlib.suppress(InvalidVersion):
                found.add(f"{canonical(name)}=={Version(version)}")
        return tuple(sorted(found & self.wheels))

    async def __aenter__(self) -> PackageIndexes:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            for client in self._clients.values():
                await client.aclose()
            self._folder.cleanup()

    async def get(self, path: str, at: int) -> dict[str, Any]:
        """A piece of what a path stands for.

        Args:
            path: as a stranger says it; see the module's docstring.
            at: how many bytes of it were had before.

        Returns:
            `status` of HTTP, media `type`, `total` bytes and the `body` from there on, in base 64.
        """
        try:
            async with self._lock:
                file, kind = self._had.get(path) or await self._fetch(path)
            total, piece = await anyio.to_thread.run_sync(_read_piece, file, at)
            status = HTTPStatus.OK
        except (_Refused, OSError, ValueError) as error:  # or a full disk; an address that is none
            status, reason = HTTPStatus.BAD_GATEWAY, f"can't be asked ({type(error).__name__})"
            if isinstance(error, _Refused):
                status, reason = error.status, str(error)
            kind, whole = "text/plain", f"{reason}\n".encode()
            total, piece = len(whole), whole[at:]
        body = base64.b64encode(piece).decode()
        return {"status": int(status), "type": kind, "total": total, "body": body}

    async def _fetch(self, path: str) -> tuple[Path, str]:
        """Gets it, and keeps it for the requests that ask for the rest."""
        self._requests += 1
        found = _PATH.fullmatch(path)
        if found is None or self._requests > _MOST_REQUESTS:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing but package indexes")
        target = Path(self._folder.name, str(len(self._had)))
        if found["key"]:
            file = self._files.get(found["key"])
            if file is None:
                raise _Refused(HTTPStatus.NOT_FOUND, "no page of an index has that file")
            url = file.url + (found["metadata"] or "")
            if not found["metadata"]:
                self.fetched.append(file.name)
            await self._download(url, file.auth, target, _ALL_BYTES)
            kind = "application/octet-stream"
        else:
            await self._page(found, target)
            kind = "text/html; charset=utf-8"
        self._had[path] = target, kind
        return target, kind

    async def _page(self, found: re.Match[str], target: Path) -> None:
        sources = self._links if found["links"] else self._indexes
        number = int(found["links"] or found["index"])
        if number >= len(sources):
            raise _Refused(HTTPStatus.NOT_FOUND, "there is no such index")
        url, auth = sources[number]
        if not found["links"]:
            url = f"{url.rstrip('/')}/{canonical(found['project'])}/"
        if (folder := _folder_of(url)) is not None and not (folder / "index.html").is_file():
            if not found["links"] or not folder.is_dir():
                raise _Refused(HTTPStatus.NOT_FOUND, "the index has no such project")
            files = [
                _File(one.as_uri(), one.name) for one in sorted(folder.iterdir()) if one.is_file()
            ]
        else:
            if folder is not None:
                url = (folder / "index.html").as_uri()
            kind, base = await self._download(url, auth, target, _PAGE_BYTES)
            text = await anyio.Path(target).read_text("utf-8", "replace")
            files = list(_read_page(text, kind, base, auth))
        kept = [file for file in files if file.name.endswith(_FILES)]
        self._files |= {file.key: file for file in kept}
        lines = ["<!DOCTYPE html>", *(file.anchor for file in kept)]
        await anyio.Path(target).write_text("\n".join(lines), "utf-8")

    async def _download(
        self, url: str, auth: tuple[str, str] | None, target: Path, most: int
    ) -> tuple[str, str]:
        """Writes what lies at an address into a file; gives its media type and final address."""
        if (path := _path_of(url)) is not None:
            await anyio.to_thread.run_sync(_copy, path, target)
            return "text/html", url
        try:
            client = self._client(url)
            async with client.stream("GET", url, auth=auth or _from_netrc(url)) as response:
                if response.status_code == HTTPStatus.NOT_FOUND:
                    raise _Refused(HTTPStatus.NOT_FOUND, "the index has no such project or file")
                if not response.is_success:
                    raise _Refused(
                        HTTPStatus.BAD_GATEWAY, f"the index answered {response.status_code}"
                    )
                size = 0
                async with await anyio.open_file(target, "wb") as out:
                    async for piece in response.aiter_bytes():
                        size += len(piece)
                        self._bytes += len(piece)
                        if size > most or self._bytes > _ALL_BYTES:
                            raise _Refused(
                                HTTPStatus.INSUFFICIENT_STORAGE, "that is more than may be fetched"
                            )
                        await out.write(piece)
                kind = response.headers.get("content-type", "").partition(";")[0].strip()
                return kind, str(response.url)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # no word of the address: it is none of the command's business
            reason = "the index did not answer"
            raise _Refused(HTTPStatus.BAD_GATEWAY, f"{reason} ({type(error).__name__})") from None

    def _client(self, url: str) -> httpx.AsyncClient:
        parts = urlsplit(url)
        trusted = {parts.hostname, f"{parts.hostname}:{parts.port}"} & set(self._settings.trusted)
        is_strict = not trusted
        if is_strict not in self._clients:
            self._clients[is_strict] = httpx.AsyncClient(
                verify=_context(self._settings) if is_strict else False,
                proxy=self._settings.proxy or None,
                timeout=self._settings.seconds,
                follow_redirects=True,
                headers={"Accept": _ACCEPT},
            )
        return self._clients[is_strict]


def _context(settings: PipSettings) -> ssl.SSLContext:
    """The authorities that pip would trust: those configured, else the usual and the system's."""
    named = settings.certificates or os.environ.get("REQUESTS_CA_BUNDLE", "")
    if not named:
        context = httpx.create_ssl_context()
        context.load_default_certs()
    elif (where := Path(named).expanduser()).is_dir():
        context = ssl.create_default_context(capath=str(where))
    else:
        context = ssl.create_default_context(cafile=str(where))
    if settings.client:
        context.load_cert_chain(settings.client)
    return context


def _read_page(text: str, kind: str, base: str, auth: tuple[str, str] | None) -> Iterator[_File]:
    """The files that a project's page names."""
    own = urlsplit(base).netloc
    for address, name, attributes in (
        _read_json(text) if kind == _JSON or kind.endswith("json") else _read_html(text)
    ):
        url, fragment = urldefrag(urljoin(base, address))
        parts = urlsplit(url)
        is_local = parts.scheme == "file"
        if parts.scheme not in ("http", "https") and not (is_local and base.startswith("file:")):
            continue
        plain, password = _without_password(url)
        known = password or (auth if urlsplit(plain).netloc == own else None)
        yield _File(
            plain, name or unquote(parts.path).rpartition("/")[2], fragment, attributes, known
        )


def _read_json(text: str) -> Iterable[tuple[str, str, dict[str, str]]]:
    try:
        files = json.loads(text)["files"]
        for file in files:
            digests = file.get("hashes") or {}
            url = str(file["url"])
            if "sha256" in digests:
                url = f"{urldefrag(url)[0]}#sha256={digests['sha256']}"
            attributes = {}
            if file.get("requires-python"):
                attributes["data-requires-python"] = str(file["requires-python"])
            if (yanked := file.get("yanked", False)) is not False:
                attributes["data-yanked"] = "" if yanked is True else str(yanked)
            metadata = file.get("core-metadata", file.get("dist-info-metadata", False))
            if metadata:
                digest = metadata.get("sha256") if isinstance(metadata, dict) else ""
                attributes["data-core-metadata"] = f"sha256={digest}" if digest else "true"
            yield url, str(file["filename"]), attributes
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _Refused(HTTPStatus.BAD_GATEWAY, "the index's page can't be read") from None


def _read_html(text: str) -> Iterable[tuple[str, str, dict[str, str]]]:
    parser = _Anchors()
    parser.feed(text)
    return parser.found


class _Anchors(html.parser.HTMLParser):
    """The links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, dict[str, str]]] = []
        self._base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "base" and "href" in given:
            self._base = given["href"]
        elif tag == "a" and given.get("href"):
            kept = {name: given[name] for name in _KEPT if name in given}
            self.found.append((urljoin(self._base, given["href"]), "", kept))


def _without_password(url: str) -> tuple[str, tuple[str, str] | None]:
    """An address, and who asks. One that can't be read is left for the request to fail by."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, None
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    name, _, password = user.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(name), unquote(password))


def _from_netrc(url: str) -> tuple[str, str] | None:
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        found = netrc.netrc(os.environ.get("NETRC") or None).authenticators(host)
        if found is not None:
            return found[0], found[2]
    return None


def _as_url(link: str) -> str:
    """An address of `find-links`, which may be a path."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|file:", link):
        return link
    return Path(link).expanduser().absolute().as_uri()


def _path_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _folder_of(url: str) -> Path | None:
    path = _path_of(url)
    return None if path is None or path.is_file() else path


def _copy(source: Path, target: Path) -> None:
    try:
        target.write_bytes(source.read_bytes())
    except OSError:
        raise _Refused(HTTPStatus.NOT_FOUND, "the index has no such project or file") from None


def _read_piece(path: Path, at: int) -> tuple[int, bytes]:
    with path.open("rb") as file:
        file.seek(max(0, at))
        return path.stat().st_size, file.read(_PIECE)
