"""Opens each sandbox and runs one tiny job in it, for the doctor."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
from anyio import to_thread

from agent.doctor.findings import Finding, State
from agent.settings import Settings
from sandbox.base import Sandbox
from sandbox.docker import connect
from sandbox.errors import SandboxError
from sandbox.jobs import Job
from sandbox.outcome import Outcome
from sandbox.registry import SandboxOptions, create_sandbox
from tasks.model import AssertTests

_ENGINE_SECONDS = 5
_SANDBOX_SECONDS = 25.0
_FLAG = "--allow-reduced-isolation"


class _WouldBuildError(Exception):
    """The image isn't there; the message says what building it would begin with."""


async def backends(settings: Settings) -> list[Finding]:
    """Engine, image, and the level that each backend really reaches."""
    found: dict[str, list[Finding]] = {}

    async def docker() -> None:
        found["docker"] = await _docker(settings)

    async def local() -> None:
        options = SandboxOptions(slots=1, limits=settings.limits, allow_reduced=True)
        found["local"] = [await _try("local", options)]

    async with anyio.create_task_group() as group:
        group.start_soon(docker)
        group.start_soon(local)
    return found["docker"] + found["local"]


async def _docker(settings: Settings) -> list[Finding]:
    findings = await to_thread.run_sync(_engine_and_image, settings, abandon_on_cancel=True)
    image = findings[-1]
    if image.what != "image" or image.state == "problem":
        return [*findings, _no("docker", image.found, image.advice)]
    if image.state != "ok":
        return [*findings, _no("docker", "not tried: the image is not built yet", image.advice)]
    options = SandboxOptions(
        slots=1,
        limits=settings.limits,
        isolation=settings.isolation,
        image=settings.image,
        base=settings.base_image,
        runtime=settings.runtime,
    )
    return [*findings, await _try("docker", options)]


def _engine_and_image(settings: Settings) -> list[Finding]:
    """Asks the engine, with a time limit of its own. Blocks."""
    import docker

    client = None
    try:
        client = docker.from_env(timeout=_ENGINE_SECONDS)
        info = client.info()
        findings = [_engine(info, settings)]
        if findings[0].state != "problem":
            findings.append(_image(client, settings))
    except Exception as error:
        findings = [_hung() if "timed out" in str(error).lower() else _no_engine()]
    finally:
        if client is not None:
            with contextlib.suppress(Exception):
                client.close()
    return findings


def _hung() -> Finding:
    text = f"the engine doesn't answer within {_ENGINE_SECONDS} s"
    advice = "restart it, or use --sandbox local"
    return Finding(what="docker engine", state="problem", found=text, advice=advice)


def _no_engine() -> Finding:
    """Why no engine answers; `connect` knows all the ways."""
    try:
        connect().close()
    except SandboxError as error:
        found, _, advice = str(error).partition(": ")
        return Finding(what="docker engine", state="info", found=found, advice=advice)
    text = "it answers, but says nothing of itself"
    return Finding(what="docker engine", state="problem", found=text, advice="see `docker info`")


def _engine(info: dict[str, Any], settings: Settings) -> Finding:
    found = (
        f"{info.get('ServerVersion', 'unknown version')}, storage {info.get('Driver', '?')}, "
        f"cgroup v{info.get('CgroupVersion', '?')}"
    )
    runtimes = list(info.get("Runtimes") or {})
    for flag, name in (
        ("--runtime", settings.runtime),
        ("--confirm-runtime", settings.confirm_runtime),
    ):
        if name and name not in runtimes:
            return Finding(
                what="docker engine",
                state="problem",
                found=f"{found}; no runtime {name!r}",
                advice=f"it has {', '.join(runtimes)}: see {flag}",
            )
    if info.get("OSType", "linux") != "linux":
        return Finding(
            what="docker engine",
            state="problem",
            found=f"{found}; it runs {info['OSType']} containers",
            advice="switch it to Linux containers",
        )
    return Finding(what="docker engine", state="ok", found=found)


def _image(client: Any, settings: Settings) -> Finding:
    """Whether the image is there; what is missing is neither built nor pulled."""
    import docker.errors

    from sandbox.image import ImageError, ensure_image

    if settings.image is not None:
        try:
            client.images.get(settings.image)
        except docker.errors.ImageNotFound:
            advice = f"`docker pull {settings.image}`, or leave --image out"
            found = f"{settings.image} is not here"
            return Finding(what="image", state="problem", found=found, advice=advice)
        return Finding(what="image", state="ok", found=f"{settings.image}, as set")

    def refuse(step: str) -> None:
        raise _WouldBuildError(step)

    try:
        tag = ensure_image(client, base=settings.base_image, progress=refuse)
    except _WouldBuildError as error:
        return Finding(
            what="image",
            state="warning",
            found=f"not built yet; the first use begins with {error}",
            advice="`regreen sandbox build` does it now",
        )
    except ImageError as error:
        found, _, advice = str(error).rpartition(": ")
        return Finding(what="image", state="problem", found=found or advice, advice=advice)
    return Finding(what="image", state="ok", found=tag)


async def _try(name: str, options: SandboxOptions) -> Finding:
    """Opens a sandbox as a run would, and judges one program in it."""
    tests = AssertTests(source="assert double(21) == 42\n").model_dump(mode="json")
    job = Job(program="def double(n):\n    return 2 * n\n", tests=(tests,), entry_point="double")
    sandbox: Sandbox | None = None
    try:
        with anyio.fail_after(_SANDBOX_SECONDS):
            async with create_sandbox(name, options) as sandbox:
                report = await sandbox.run(job)
    except TimeoutError:
        return _no(name, f"no verdict within {_SANDBOX_SECONDS:g} s", "run `regreen doctor` again")
    except (SandboxError, OSError) as error:
        found, _, advice = str(error).partition(": ")
        return _no(name, found, advice)
    if report.outcome is not Outcome.PASSED:
        text = f"a right program ended as {report.outcome}: {report.detail}"
        return _no(name, text, "this should not happen; please report it")
    state: State = "warning" if sandbox.reduced else "ok"
    advice = ""
    if sandbox.reduced:
        advice = f"verdicts need {_FLAG}; a Docker engine would give full isolation"
    found = f"{sandbox.level}, " + ("less than full isolation" if advice else "full isolation")
    return Finding(what=f"sandbox {name}", state=state, found=found, advice=advice)


def _no(name: str, found: str, advice: str) -> Finding:
    return Finding(what=f"sandbox {name}", state="problem", found=found, advice=advice)
