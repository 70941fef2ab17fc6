"""Builds the image that the docker backend runs programs in, once for each content.

The tag is a hash of all that decides what is inside, so an image that exists is never built
again and one that is out of date is never used. A task's requirements make a second image on top.

    ImageError
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import docker
import docker.errors
import urllib3.exceptions

from sandbox.watcher import labels
from sandbox.wheels import (
    Target,
    WheelError,
    fetch,
    is_judge_root,
    judge_libraries,
    last_error,
    normalise,
)

DEFAULT_BASE = "python:3.12-slim"
LOCAL_BASE = "regreen-base:latest"
REPOSITORY = "regreen-sandbox"
OLDEST_PYTHON = (3, 11)

Progress = Callable[[str], None]

# Labels: one build's first stage, the full content hash, what `Target` says of the Python.
_BUILD = "org.regreen.build"
_CONTENT = "org.regreen.content"
_TARGET = "org.regreen.target"

# An engine that goes away shows as any of these: requests' errors are OSErrors, but a stream that
# breaks off raises urllib3's own.
_FAULTS = (docker.errors.DockerException, urllib3.exceptions.HTTPError, OSError)

_PROBE = (
    "import json, os, platform, sys, sysconfig; "
    "musl = 'musl' in str(sysconfig.get_config_var('SOABI')); "
    "libc = 'musl-1.2' if musl else os.confstr('CS_GNU_LIBC_VERSION').replace(' ', '-'); "
    "print(json.dumps([list(sys.version_info[:2]), platform.machine(), libc]))"
)


class ImageError(Exception):
    """The image can't be built. The message is one line that says what to do."""


@dataclass(frozen=True)
class _Plan:
    """What goes into one image."""

    tag: str
    content: str
    base: str
    judge: tuple[str, ...] = ()
    site: tuple[str, ...] = ()

    def what(self) -> str:
        return ", ".join(self.site) or " and ".join(filter(is_judge_root, self.judge))


def ensure_image(
    client: docker.DockerClient,
    *,
    base: str | None = None,
    requirements: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> str:
    """Returns the tag of an image for these requirements, and builds it where it doesn't exist.

    Blocks: a moment where the image exists, else up to minutes.

    Args:
        client: an engine that answers.
        base: an image with Python 3.11 or newer. Default: `REGREEN_BASE_IMAGE`, else a local
            `regreen-base:latest`, else `python:3.12-slim`, which the engine pulls.
        requirements: pip requirements for candidate and judge. The set of wheels found first is
            kept for good; pin versions or use `build_image(fresh=True)` to move on.
        progress: called with one line of text before each step that takes long.

    Raises:
        ImageError: the base can't be had, a requirement has no wheel, the disk is full, or the
            engine stopped answering.
    """
    return _provide(client, base, requirements, progress or _silent, again=False, fresh=False)


def build_image(
    client: docker.DockerClient,
    *,
    base: str | None = None,
    requirements: tuple[str, ...] = (),
    progress: Progress | None = None,
    fresh: bool = False,
) -> str:
    """Builds the image even where it exists, and returns its tag.

    Args:
        client: an engine that answers.
        base: see `ensure_image`.
        requirements: see `ensure_image`; the sandbox image below them is built only if missing.
        progress: see `ensure_image`.
        fresh: fetch the wheels again and reuse no layer.

    Raises:
        ImageError: see `ensure_image`.
    """
    return _provide(client, base, requirements, progress or _silent, again=True, fresh=fresh)


def _provide(
    client: docker.DockerClient,
    base: str | None,
    requirements: tuple[str, ...],
    progress: Progress,
    *,
    again: bool,
    fresh: bool,
) -> str:
    with _one_error():
        site = normalise(requirements)
        recipe = _dockerfile()
        image = _base(client, base, progress)
        judge = judge_libraries()
        # The base's id stands for its Python version too.
        plan = _plan(image.id, {"recipe": recipe, "judge": judge}, judge=judge)
        if (again and not site) or not _id(client, plan.tag):
            _build(client, plan, recipe, _target(client, image), progress, fresh)
        if not site:
            return plan.tag
        layer = _plan(plan.tag, {"below": plan.content, "site": site}, site=site)
        if again or not _id(client, layer.tag):
            target = Target(**json.loads(client.images.get(plan.tag).labels[_TARGET]))
            _build(client, layer, recipe, target, progress, fresh)
        return layer.tag


def _plan(
    base: str, parts: Mapping[str, Any], *, judge: tuple[str, ...] = (), site: tuple[str, ...] = ()
) -> _Plan:
    text = json.dumps({"base": base, **parts}, sort_keys=True)
    content = hashlib.sha256(text.encode()).hexdigest()
    return _Plan(f"{REPOSITORY}:{content[:12]}", content, base, judge, site)


def _silent(_: str) -> None:
    pass


def _dockerfile() -> str:
    """Text of Dockerfile.sandbox: beside this file in a wheel, one folder up in a checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here, here.parent):
        if (path := folder / "Dockerfile.sandbox").is_file():
            return path.read_text(encoding="utf-8")
    raise ImageError(f"Dockerfile.sandbox is missing in {here} and above it: reinstall Regreen")


def _id(client: docker.DockerClient, tag: str) -> str | None:
    """Id of the image of that name, or `None` where there is no such image."""
    try:
        return str(client.images.get(tag).id)
    except docker.errors.ImageNotFound:
        return None


def _base(client: docker.DockerClient, base: str | None, progress: Progress) -> Any:
    """The base image, pulled where the engine doesn't have it."""
    name = base or os.environ.get("REGREEN_BASE_IMAGE")
    if not name:
        name = LOCAL_BASE if _id(client, LOCAL_BASE) else DEFAULT_BASE
    try:
        return client.images.get(name)
    except docker.errors.ImageNotFound:
        progress(f"pulling {name}")
    except docker.errors.APIError as error:
        if error.is_server_error():
            raise
        raise ImageError(f"base image {name!r} is no name of an image: {_line(error)}") from error
    repository, tag = docker.utils.parse_repository_tag(name)
    try:
        for line in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in line:
                raise docker.errors.APIError(line["error"])
        return client.images.get(name)
    except _FAULTS as error:
        if _disk_full(str(error)):
            raise
        raise ImageError(
            f"base image {name} is not here and can't be pulled ({_line(error)}): run "
            f"`docker pull {name}`, or take a local image with Python by "
            "`regreen sandbox build --base IMAGE`"
        ) from error


def _target(client: docker.DockerClient, image: Any) -> Target:
    """Asks the base's Python what wheels it takes, in a container without network."""
    name = image.tags[0] if image.tags else image.short_id
    try:
        output = _ask(client, image.id, ["python3", "-I", "-c", _PROBE])
        version, machine, libc = json.loads(output)
    except (docker.errors.APIError, ValueError) as error:
        if _disk_full(str(error)):
            raise
        raise ImageError(
            f"base image {name}: its python3 can't be run ({_line(error)}); "
            "take a Linux image with Python 3.11 or newer"
        ) from error
    python = ".".join(map(str, version))
    if tuple(version) < OLDEST_PYTHON:
        raise ImageError(f"base image {name} has Python {python}: 3.11 or newer is needed")
    return Target(python=python, machine=machine, libc=libc)


def _ask(client: docker.DockerClient, image: str, command: list[str]) -> str:
    """What a command prints; unlike `containers.run`, leaves nothing if it can't be started."""
    container = client.containers.create(
        image,
        entrypoint=command,
        network_mode="none",
        cap_drop=["ALL"],
        read_only=True,
        labels=labels(),
    )
    try:
        container.start()
        container.wait()
        output: bytes = container.logs()
        return output.decode(errors="replace")
    finally:
        container.remove(force=True)


def _build(
    client: docker.DockerClient,
    plan: _Plan,
    recipe: str,
    target: Target,
    progress: Progress,
    fresh: bool,
) -> None:
    progress(f"fetching wheels: {plan.what()}")
    roots = filter(is_judge_root, plan.judge)
    wheels = {
        "": fetch(["pip"], target),
        "judge/": fetch(roots, target, constraints=plan.judge, fresh=fresh) if plan.judge else [],
        "site/": fetch(plan.site, target, fresh=fresh) if plan.site else [],
    }
    progress(f"building {plan.tag} for {target}")
    old = _id(client, plan.tag)
    build = uuid.uuid4().hex
    with tempfile.TemporaryFile() as context:
        _pack(context, recipe, wheels)
        try:
            lines = client.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile="Dockerfile.sandbox",
                tag=plan.tag,
                buildargs={"BASE": plan.base, "BUILD": build},
                labels={_CONTENT: plan.content, _TARGET: json.dumps(vars(target))},
                network_mode="none",
                nocache=fresh,
                rm=True,
                forcerm=True,
                decode=True,
            )
            _follow(lines, plan)
        finally:
            # The first stage has served; its wheels are kept on the host.
            client.images.prune(filters={"dangling": True, "label": f"{_BUILD}={build}"})
    if old and old != _id(client, plan.tag):
        with suppress(docker.errors.APIError):  # a running container still needs it
            client.images.remove(old)


def _pack(context: IO[bytes], recipe: str, wheels: Mapping[str, list[Path]]) -> None:
    """Writes the build context; owner and times are constants, so that layers can be reused."""
    with tarfile.open(fileobj=context, mode="w") as archive:
        text = recipe.encode()
        entry = tarfile.TarInfo("Dockerfile.sandbox")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
        for folder, files in wheels.items():
            for path in files:
                entry = tarfile.TarInfo(f"wheels/{folder}{path.name}")
                entry.size = path.stat().st_size
                with path.open("rb") as file:
                    archive.addfile(entry, file)
    context.seek(0)


def _follow(lines: Iterator[dict[str, Any]], plan: _Plan) -> None:
    """Reads the engine's account of a build to its end.

    Raises:
        ImageError: a step failed; the message has the line that said why.
    """
    output = ""
    for line in lines:
        output += line.get("stream", "")
        if "error" in line:
            if _disk_full(line["error"] + output):
                raise docker.errors.APIError("no space left on device")
            reason = last_error(output) if "ERROR: " in output else _line(line["error"])
            raise ImageError(f"can't build {plan.tag} with {plan.what()}: {reason}")


@contextmanager
def _one_error() -> Iterator[None]:
    """Turns whatever can go wrong at the engine, the index or the disk into an ImageError."""
    try:
        yield
    except WheelError as error:
        raise ImageError(str(error)) from error
    except _FAULTS as error:
        if not _disk_full(str(error)):
            raise ImageError(
                f"the Docker engine failed: {_line(error)}; see `docker info`"
            ) from error
        full, hint = tempfile.gettempdir(), "free space there or set TMPDIR"
        if isinstance(error, docker.errors.DockerException):
            full, hint = (
                "the disk with Docker's images",
                "free space, e.g. by `docker system prune`",
            )
        raise ImageError(f"{full} is full: {hint}") from error


def _disk_full(text: str) -> bool:
    return "no space left on device" in text.lower()


def _line(error: object) -> str:
    """The last line of an error, which is where programs and engines say what it was."""
    explanation = getattr(error, "explanation", None)
    text = str(explanation or error).strip()
    return text.splitlines()[-1].strip() if text else type(error).__name__
