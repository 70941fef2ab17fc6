"""The embedded language model: a small server, started on first use, that ends with us."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import anyio
from anyio import to_thread
from pydantic import SecretStr

from agent.llm.base import (
    Completion,
    Message,
    ModelConfigError,
    ModelError,
    ModelRequest,
    ModelUnavailableError,
)
from agent.llm.download import Progress
from agent.llm.fan_out import derived_seed
from agent.llm.metering import metered, note
from agent.llm.openai import OpenAIModel
from agent.llm.redaction import child_environment, one_line
from agent.llm.registry import ModelOptions
from agent.llm.retry import RetryPolicy
from agent.llm.weights import check_name, pull

CONTEXT_TOKENS = 4096
_START_SECONDS = 180.0
_SCRIPT = Path(__file__).with_name("local_server.py")


class LocalModel:
    """A model that runs on this machine, at no price, one answer at a time.

    The same request with the same seed gives the same text, whatever was asked before, on the
    same machine and version of the server. It is small: for trying things out.

    A prompt is read once and kept for further answers to it, as long as no other one comes between.
    Reading it in another way, such as on top of half of another prompt, would change the last bits
    and so the text: a prompt is always read whole and alone, and then the answer begins from it.

    Args:
        weights: what `weights.pull` takes: `smollm2-135m`, a URL, `hf:...`, a .gguf file.
        timeout_seconds: longest time for one answer, not counting the wait for earlier ones.
        progress: told bytes done and in all while weights are fetched.
        context_tokens: the longest chat, answer included.

    Raises:
        ModelConfigError: the server's package is missing, or the weights' name is unknown.
    """

    def __init__(
        self,
        weights: str,
        *,
        timeout_seconds: float = 300.0,
        progress: Progress | None = None,
        context_tokens: int = CONTEXT_TOKENS,
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise ModelConfigError(
                "local/ models need a package that is not installed: pip install 'regreen[local]'"
            )
        check_name(weights)
        self._weights = weights
        self._timeout = timeout_seconds
        self._progress = progress
        self._context = context_tokens
        self._turn = anyio.Lock()
        self._server: _Server | None = None
        self._client: OpenAIModel | None = None
        self._reader: OpenAIModel | None = None
        self._kept: tuple[Message, ...] | None = None
        """The chat that the server has read whole and alone, and keeps."""

    @property
    def name(self) -> str:
        """`local/WEIGHTS`, as given."""
        return f"local/{self._weights}"

    async def complete(self, request: ModelRequest) -> Sequence[Completion]:
        """Answers one by one; a server that dies is started again once.

        Raises:
            ModelConfigError: the weights can't be had, or the chat is longer than the context.
            ModelUnavailableError: the server does not start, or dies twice.
        """
        answers: list[Completion] = []
        for number in range(request.n):
            seed = derived_seed(request.seed, number)
            single = request.model_copy(update={"n": 1, "seed": seed})
            try:
                async with self._turn:
                    answers.extend(await self._answer(single))
            except ModelError:
                if not answers:
                    raise
                break
        return answers

    async def aclose(self) -> None:
        """Stops the server."""
        with anyio.CancelScope(shield=True):
            clients = self._client, self._reader
            self._client = self._reader = self._kept = None
            server, self._server = self._server, None
            for client in clients:
                if client is not None:
                    await client.aclose()
            if server is not None:
                await to_thread.run_sync(server.stop)

    async def _answer(self, request: ModelRequest) -> Sequence[Completion]:
        for last in (False, True):
            client, reader = await self._started()
            try:
                read = await self._read(reader, request)
                return [_with_reading(one, read) for one in await client.complete(request)]
            except ModelUnavailableError as error:
                server = self._server
                if server is None or await server.alive_after_a_moment():
                    raise
                what = server.last_words()
                await self.aclose()
                if last:
                    raise ModelUnavailableError(
                        f"{self.name}: the embedded server died twice ({what})"
                    ) from error
        raise AssertionError("unreachable: the second failure raises")

    async def _read(self, reader: OpenAIModel, request: ModelRequest) -> bool:
        """Has the server read a prompt that it doesn't keep; whether it had to."""
        if request.messages == self._kept:
            return False
        self._kept = None
        nothing = {"max_tokens": 0, "thinking": None, "n": 1, "watch": None, "stop": ()}
        try:
            with metered() as meter:  # of its own: what reading costs is counted with the answer
                await reader.complete(request.model_copy(update=nothing))
        except BaseException:  # there will be none
            note(meter.usage)
            raise
        self._kept = request.messages
        return True

    async def _started(self) -> tuple[OpenAIModel, OpenAIModel]:
        if self._client is not None and self._reader is not None:
            return self._client, self._reader
        path = await self._pull()
        key = SecretStr(secrets.token_urlsafe())
        server = _Server(path, key, self._context)
        try:
            with anyio.move_on_after(_START_SECONDS):
                await to_thread.run_sync(server.wait_for_address, abandon_on_cancel=True)
            if not server.address:
                raise ModelUnavailableError(
                    f"{self.name}: the embedded server does not start ({server.last_words()})"
                )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(server.stop)
            raise
        self._server = server
        self._reader = self._connect(server.address, key, keep=False)
        self._client = self._connect(server.address, key, keep=True)
        return self._client, self._reader

    def _connect(self, address: str, key: SecretStr, *, keep: bool) -> OpenAIModel:
        return OpenAIModel(
            self._weights,
            name=self.name,
            base_url=f"{address}/v1",
            api_key=key,
            timeout_seconds=self._timeout,
            retry=RetryPolicy(attempts=1),
            # a running count, since an answer that is cut off gets no last word
            body={"cache_prompt": keep, "timings_per_token": True},
        )

    async def _pull(self) -> Path:
        """Fetches the weights in a thread that stops soon after we are cancelled."""
        stopped = threading.Event()

        def progress(done: int, total: int | None) -> None:
            if stopped.is_set():
                raise _StoppedError
            if self._progress is not None:
                self._progress(done, total)

        try:
            return await to_thread.run_sync(
                lambda: pull(self._weights, progress=progress), abandon_on_cancel=True
            )
        finally:
            stopped.set()


def _with_reading(answer: Completion, read: bool) -> Completion:
    """An answer whose prompt was read for it, and not kept from an earlier one."""
    if not read:
        return answer
    return answer.model_copy(update={"usage": answer.usage.model_copy(update={"tokens_cached": 0})})


class _StoppedError(Exception):
    """Ends a download whose result nobody waits for."""


class _Server:
    """The server's process.

    It must be made on the thread that lives as long as the model is used (the event loop's): the
    kernel ends the process with the *thread* that started it.
    """

    def __init__(self, weights: Path, key: SecretStr, context_tokens: int) -> None:
        self.address = ""
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        # By path and with -P: nothing is imported from the current folder. A session of its own
        # keeps Ctrl-C from ending the server before we have closed down.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # A crash would else start a debugger, where one is installed, to print a backtrace.
            env=child_environment() | {"GGML_NO_BACKTRACE": "1"},
            start_new_session=True,
        )
        atexit.register(self.stop)
        config = {
            "model": str(weights),
            "key": key.get_secret_value(),
            "context": context_tokens,
            "parent": os.getpid(),
        }
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died at once: wait_for_address tells
            self._process.stdin.write(json.dumps(config).encode() + b"\n")
            self._process.stdin.flush()

    def wait_for_address(self) -> None:
        """Waits for the one line of the server; `address` stays empty if it ends without."""
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
            self.address = str(json.loads(line)["address"]) if line.strip() else ""
        except (ValueError, KeyError, OSError):
            self.address = ""

    async def alive_after_a_moment(self) -> bool:
        """Whether the process runs; one that is just ending is given time to."""

        def wait() -> bool:
            try:
                self._process.wait(0.5)
            except subprocess.TimeoutExpired:
                return True
            return False

        return await to_thread.run_sync(wait)

    def last_words(self) -> str:
        """How it ended, and the last line it wrote."""
        code = self._process.poll()
        how = "still starting" if code is None else f"exit status {code}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        said = one_line(next((line for line in reversed(lines) if line.strip()), ""))
        return f"{how}: {said}" if said else how

    def stop(self) -> None:
        """Ends the process; it holds nothing that a gentle end would save. Idempotent."""
        atexit.unregister(self.stop)
        self._process.kill()
        self._process.wait()
        # Only now: a thread that waits in readline holds the pipe until the process has ended.
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def build(rest: str, options: ModelOptions) -> LocalModel:
    """Builds `local/REST` for the registry."""
    return LocalModel(rest, timeout_seconds=options.timeout_seconds, progress=options.progress)
