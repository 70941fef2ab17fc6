"""The sandbox image: what is in it, what is not, and what a user is told when it can't be built."""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import os
import tarfile
import uuid
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import docker
import docker.errors
import pytest

from sandbox.image import (
    DEFAULT_BASE,
    LOCAL_BASE,
    ImageError,
    build_image,
    ensure_image,
)
from sandbox.wheels import Target, WheelError, fetch, judge_libraries, normalise

JUDGE = "import sys; sys.path.append('/opt/regreen/judge/site-packages'); "
SITE = "import sys; sys.path.append('/opt/regreen/site/site-packages'); "


def unavailable(reason: str) -> NoReturn:
    """Skips, or fails where the environment promises an engine."""
    if os.environ.get("REGREEN_REQUIRE_DOCKER") == "1":
        pytest.fail(f"{reason}, but REGREEN_REQUIRE_DOCKER=1")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    engine, reason = None, ""
    with warnings.catch_warnings():
        # The docker package drops its socket unclosed where nobody listens; collected here, that
        # is no concern of the tests.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            engine = docker.from_env()
        except docker.errors.DockerException as error:
            reason = f"no Docker engine answers: {error}"
        gc.collect()
    if engine is None:
        unavailable(reason)
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def base(client: docker.DockerClient) -> Iterator[str]:
    """A base of its own for each run, so that nothing built here was there before.

    It holds a setuid program and lacks byte code (as `python:slim` does), so that the tests which
    look for either have something to find.
    """
    for name in (os.environ.get("REGREEN_BASE_IMAGE"), LOCAL_BASE, DEFAULT_BASE):
        if name and client.images.list(name):
            break
    else:
        unavailable(f"the engine has neither {LOCAL_BASE} nor {DEFAULT_BASE}")
    tag = f"regreen-test-base:{uuid.uuid4().hex[:12]}"
    recipe = (
        f"FROM {name}\nLABEL test={tag}\n"
        "RUN cp /bin/true /opt/root && chmod 6755 /opt/root && "
        "find /usr -name __pycache__ -prune -exec rm -r {} +\n"
    )
    client.images.build(fileobj=io.BytesIO(recipe.encode()), tag=tag, network_mode="none", rm=True)
    before = {image.id for image in client.images.list("regreen-sandbox")}
    yield tag
    for image in client.images.list("regreen-sandbox"):
        if image.id not in before and image.labels.get("test") == tag:
            client.images.remove(image.id, force=True)
    client.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own, so that wheels are really fetched."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGREEN_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def image(client: docker.DockerClient, base: str, cache: Path) -> str:
    return ensure_image(client, base=base)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index that is a folder, and the only one that pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def add_wheel(index: Path, name: str, source: str, *, needs: str = "") -> None:
    """Puts a wheel of one module, version 1.0, into an index."""
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(index / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def run(client: docker.DockerClient, image: str, *command: str, user: str = "4321") -> str:
    """Output of a command as an ordinary user, under the image's own PATH."""
    output: bytes = client.containers.run(
        image, list(command), user=user, network_mode="none", read_only=True, remove=True
    )
    return output.decode().strip()


def refusal(client: docker.DockerClient, base: str | None, *requirements: str) -> str:
    """The error line of an image that can't be had."""
    with pytest.raises(ImageError) as caught:
        ensure_image(client, base=base, requirements=requirements)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.docker
def test_a_local_base_makes_a_labelled_image(client: docker.DockerClient, image: str) -> None:
    built = client.images.get(image)
    assert image.startswith("regreen-sandbox:")
    assert built.labels["org.regreen.image"] == "sandbox"
    assert built.labels["org.regreen.content"].startswith(image.partition(":")[2])
    assert not built.attrs["Config"]["Entrypoint"]
    assert built.attrs["Config"]["User"] in ("", "0:0")
    assert run(client, image, "python3", "-c", "print(6 * 7)") == "42"


@pytest.mark.docker
def test_a_second_call_builds_nothing(client: docker.DockerClient, base: str, image: str) -> None:
    before = client.images.get(image).id
    steps: list[str] = []
    assert ensure_image(client, base=base, progress=steps.append) == image
    assert steps == []
    assert client.images.get(image).id == before


@pytest.mark.docker
def test_a_build_on_demand_says_what_it_does(
    client: docker.DockerClient, base: str, image: str
) -> None:
    steps: list[str] = []
    before = client.images.get(image).id
    assert build_image(client, base=base, progress=steps.append, fresh=True) == image
    assert [step.split()[0] for step in steps] == ["fetching", "building"]
    assert client.images.get(image).id != before
    with pytest.raises(docker.errors.ImageNotFound):  # the one that it replaces is not kept
        client.images.get(before)


@pytest.mark.docker
def test_no_wheel_and_no_first_stage_is_left_behind(
    client: docker.DockerClient, image: str
) -> None:
    assert run(client, image, "sh", "-c", "ls /wheels /out 2>/dev/null | wc -l") == "0"
    leftover = {"dangling": True, "label": "org.regreen.image=install"}
    assert client.images.list(filters=leftover) == []


@pytest.mark.docker
def test_only_the_judge_finds_its_libraries(client: docker.DockerClient, image: str) -> None:
    pins = dict(pin.split("==") for pin in judge_libraries())
    show = "import hypothesis, pytest; print(hypothesis.__version__, pytest.__version__)"
    found = run(client, image, "python3", "-c", JUDGE + show)
    assert found == f"{pins['hypothesis']} {pins['pytest']}"
    spec = "from importlib.util import find_spec as f; "
    names = "print([n for n in ('pytest', '_pytest', 'hypothesis', 'pluggy', 'pip') if f(n)])"
    assert run(client, image, "python3", "-c", spec + names) == "[]"


@pytest.mark.docker
def test_libraries_come_with_byte_code_and_can_be_read_by_all(
    client: docker.DockerClient, image: str
) -> None:
    compiled = (
        "import hypothesis.core, _pytest.python, json, os; "
        "print([m.__cached__ for m in (hypothesis.core, _pytest.python, json) "
        "if not os.path.isfile(m.__cached__)])"
    )
    assert run(client, image, "python3", "-c", JUDGE + compiled) == "[]"
    unreadable = "find /opt/regreen ! -perm -o+r -o -type d ! -perm -o+x -o -perm -o+w ! -type l"
    assert run(client, image, "sh", "-c", unreadable) == ""


@pytest.mark.docker
def test_no_setuid_file_survives(client: docker.DockerClient, base: str, image: str) -> None:
    find = ("find", "/", "-xdev", "-perm", "/6000")
    assert "/opt/root" in run(client, base, *find, user="0")
    assert run(client, image, *find, user="0") == ""


@pytest.mark.docker
def test_requirements_are_a_layer_for_candidate_and_judge(
    client: docker.DockerClient, base: str, image: str, index: Path
) -> None:
    add_wheel(index, "regreen_upper", "import regreen_lower\nVALUE = regreen_lower.VALUE + 1\n")
    add_wheel(index, "regreen_lower", "VALUE = 41\n")
    wanted = ("regreen_upper>=1", "regreen_lower==1.0")
    tag = ensure_image(client, base=base, requirements=wanted)
    assert tag != image
    show = "import regreen_upper; print(regreen_upper.VALUE)"
    assert run(client, tag, "python3", "-c", SITE + show) == "42"
    assert run(client, tag, "python3", "-c", JUDGE + "import pytest; print('judge')") == "judge"
    with pytest.raises(docker.errors.ContainerError, match="regreen_upper"):
        run(client, image, "python3", "-c", SITE + show)

    steps: list[str] = []
    again = ensure_image(client, base=base, requirements=wanted[::-1], progress=steps.append)
    assert (again, steps) == (tag, [])


@pytest.mark.docker
def test_what_a_requirement_depends_on_comes_along(
    client: docker.DockerClient, base: str, image: str, index: Path
) -> None:
    add_wheel(index, "regreen_leaf", "VALUE = 7\n")
    add_wheel(index, "regreen_stem", "from regreen_leaf import VALUE\n", needs="regreen_leaf==1.0")
    tag = ensure_image(client, base=base, requirements=("regreen_stem",))
    assert run(client, tag, "python3", "-c", SITE + "from regreen_stem import VALUE as v; print(v)")


@pytest.mark.docker
def test_a_requirement_without_wheel_is_one_line(
    client: docker.DockerClient, base: str, image: str, index: Path
) -> None:
    message = refusal(client, base, "regreen-absent==1.0")
    assert "No matching distribution found for regreen-absent==1.0" in message
    assert "Python 3." in message


@pytest.mark.docker
def test_setup_code_is_never_run(
    client: docker.DockerClient, base: str, image: str, index: Path, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    # A package that brings its own build back end, so that building it needs nothing else.
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "trap"\n'
        'backend-path = ["."]\n',
        "trap.py": f"open({str(witness)!r}, 'w').close()\n",
    }
    archive = tmp_path / "regreen_trap-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"regreen_trap-1.0/{path}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    # An index must not offer such a dependency; pip would build it all the same.
    add_wheel(index, "regreen_bait", "", needs=f"regreen_trap @ {archive.as_uri()}")
    assert "regreen_bait" in refusal(client, base, "regreen_bait")
    assert not witness.exists()


@pytest.mark.docker
def test_a_base_that_is_nowhere_is_one_line(
    client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Port 9 of this machine is no registry, so the pull fails at once and without a network.
    name = "localhost:9/regreen-nowhere:1"
    message = refusal(client, name)
    assert f"docker pull {name}" in message
    assert "regreen sandbox build --base IMAGE" in message
    monkeypatch.setenv("REGREEN_BASE_IMAGE", name)
    assert name in refusal(client, None)
    assert "no name of an image" in refusal(client, "No Name")


@pytest.mark.docker
def test_a_base_without_python_is_one_line(client: docker.DockerClient) -> None:
    tag = f"regreen-test-base:{uuid.uuid4().hex[:12]}"
    recipe = b"FROM scratch\nLABEL test=empty\n"
    client.images.build(fileobj=io.BytesIO(recipe), tag=tag, rm=True)
    try:
        assert "Python 3.11 or newer" in refusal(client, tag)
        assert client.containers.list(all=True, filters={"ancestor": tag}) == []
    finally:
        client.images.remove(tag, force=True)


def test_an_engine_that_is_gone_is_one_line() -> None:
    gone = docker.DockerClient(base_url="tcp://127.0.0.1:9", version="1.41")
    try:
        assert refusal(gone, None).startswith("the Docker engine failed: ")
    finally:
        gone.close()


@pytest.mark.parametrize(
    "requirement",
    ["./folder", "--index-url=x", "-e .", "name @ https://example.org/x.tar.gz", "a/b", "a b", ""],
)
def test_only_names_are_requirements(requirement: str) -> None:
    with pytest.raises(WheelError, match="no option, path or URL"):
        normalise(["numpy", requirement])


def test_equal_sets_of_requirements_are_equal() -> None:
    wanted = ["b[x]>=2,<3", 'a ; python_version > "3"', "b[x]>=2,<3", " c~=1.0 "]
    assert normalise(wanted) == ('a ; python_version > "3"', "b[x]>=2,<3", "c~=1.0")


def test_wheels_are_chosen_for_the_image_and_not_the_host() -> None:
    tags = Target(python="3.12", machine="aarch64", libc="glibc-2.36").platforms()
    assert tags[0] == "manylinux_2_36_aarch64"
    assert {"manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"} <= set(tags)
    musl = Target(python="3.12", machine="x86_64", libc="musl-1.2").platforms()
    assert musl[:2] == ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64"]


def test_a_cache_that_cannot_be_written_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGREEN_CACHE_DIR", "/dev/null")
    target = Target(python="3.12", machine="x86_64", libc="glibc-2.36")
    with pytest.raises(WheelError, match=r"^can't keep wheels in /dev/null/wheels.*CACHE_DIR$"):
        fetch(["pip"], target)
