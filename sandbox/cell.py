"""One pair of servers, judge and zygote, as the controller talks to it.

A backend starts the two and gives their streams; everything else is the same for all backends.
Only the judge's stream carries jobs. The zygote's stream says hello and, by its end, that it is
gone; on it goes, too, what a setup command asks of package indexes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from .base import Indexes
from .errors import CellLostError, SandboxUnavailableError
from .guest import wire
from .jobs import Job
from .prepared import PREPARED
from .program import guest_version

_HELLO_SECONDS = 60.0
_PING_SECONDS = 1.0
_PINGS = 20
"""So many in a row without a word of a server, and it hangs; it forks and clears up in less than
a second, and imports pytest in one, even on a loaded machine."""


class Stream(Protocol):
    """Bytes to and from one server."""

    async def send(self, data: bytes) -> None:
        """Sends all of it. Raises `OSError` or `anyio.BrokenResourceError` if nobody listens."""
        ...

    async def receive(self) -> bytes:
        """Some bytes; empty at the end."""
        ...

    async def settled(self, hello: dict[str, Any]) -> None:
        """Told what the server said first, before anything else is sent or received."""
        ...

    async def complaint(self) -> str:
        """What the server wrote to standard error, for messages."""
        ...

    async def aclose(self) -> None:
        """Ends the stream, and with it the server. Idempotent."""
        ...


class Cell:
    """A running pair of servers with a number of slots.

    Args:
        judge: the stream to the judge's server.
        zygote: the stream to the zygote.
        slots: how many runs are under way at a time; what is sent besides waits for one of them.
    """

    def __init__(self, judge: Stream, zygote: Stream, *, slots: int) -> None:
        self._judge = judge
        self._zygote = zygote
        self.slots = slots
        self.held = 0
        """Runs that callers have begun here and not ended."""
        self.runs = 0
        self.born = anyio.current_time()
        self.retiring = ""
        """Why it takes no new run, if so."""
        self.hello: dict[str, Any] = {}
        self._guest = ""
        self._waiting: dict[int, _Waiter] = {}
        self._numbers = itertools.count(1)
        self._frames = bytearray()
        self._sending = anyio.Lock(fast_acquire=True)
        self._sending_zygote = anyio.Lock(fast_acquire=True)
        self._silent = {"judge's server": 0, "zygote": 0}
        self._lost = ""

    async def start(self, tasks: TaskGroup, judge: bytes, zygote: bytes) -> None:
        """Sends the first frames, waits for both hellos and starts listening.

        Raises:
            SandboxUnavailableError: a server refused, or said nothing; the message has its reason.
        """
        try:
            with anyio.fail_after(_HELLO_SECONDS):
                await self._judge.send(judge)
                await self._zygote.send(zygote)
                self.hello = await self._first(self._zygote, bytearray(), "zygote")
                self._guest = f"{guest_version()} {self.hello['python']}"
                hello = await self._first(self._judge, self._frames, "judge's server")
                await self._judge.settled(hello)
        except TimeoutError:
            raise SandboxUnavailableError(
                f"the sandbox did not start within {_HELLO_SECONDS:g} s"
            ) from None
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            said = await self._judge.complaint() or await self._zygote.complaint()
            raise SandboxUnavailableError(
                f"the sandbox did not start: {said.strip() or error}"
            ) from None
        tasks.start_soon(self._listen)
        tasks.start_soon(self._listen_zygote, tasks)
        tasks.start_soon(self._ping, self._judge, self._sending)
        tasks.start_soon(self._ping, self._zygote, self._sending_zygote)
        tasks.start_soon(self._count_pings)

    async def _first(self, stream: Stream, frames: bytearray, who: str) -> dict[str, Any]:
        while (body := wire.split(frames)) is None:
            data = await stream.receive()
            if not data:
                said = (await stream.complaint()).strip().splitlines()
                raise SandboxUnavailableError(
                    f"the {who} ended at its start: {said[-1] if said else 'no reason given'}"
                )
            frames += data
        message = wire.load(body)
        if "hello" not in message:
            raise SandboxUnavailableError(f"the {who} refused: {message.get('refused')}")
        hello: dict[str, Any] = message["hello"]
        return hello

    async def run(
        self,
        job: Job,
        *,
        fresh: bool = False,
        indexes: Indexes | None = None,
    ) -> dict[str, Any]:
        """Runs one job in the next slot that is free, and returns the server's reply.

        The reply says `not_begun` where the job has to go elsewhere.

        Args:
            job: what to run.
            fresh: make nothing of what an earlier judge has prepared.
            indexes: answer what the job asks.

        Raises:
            CellLostError: a server ended, or hung, before it replied.
        """
        number = next(self._numbers)
        waiter = _Waiter(indexes)
        as_data = bool(job.script) and not fresh
        key = "" if fresh or as_data else PREPARED.key(job, self._guest)
        prepared = PREPARED.get(key) if key else None
        self._waiting[number] = waiter
        self.runs += 1
        try:
            with waiter.scope:
                async with self._sending:
                    if self._lost:
                        raise CellLostError(self._lost)
                    await self._judge.send(
                        wire.dump(job.message(number, prepared, as_data=as_data))
                    )
                await waiter.event.wait()
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise CellLostError(f"the sandbox's stream broke: {error}") from None
        finally:
            del self._waiting[number]
        if waiter.reply is None:
            raise CellLostError(self._lost)
        if waiter.reply.get("not_begun"):
            self.retiring = self.retiring or "it takes no more"
            return waiter.reply
        self._read(waiter.reply, key)
        if not waiter.reply.get("clean", False):
            self.retiring = self.retiring or "a run left something behind"
        return waiter.reply

    async def take_back(self) -> None:
        """Has all that has not begun end as `not_begun`."""
        with contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with self._sending:
                await self._judge.send(wire.dump({"take_back": True}))

    def _read(self, reply: dict[str, Any], key: str) -> None:
        """Reads the texts that the judge's server has passed on unread."""
        said, prepared = reply.pop("judge", None), reply.pop("prepared", None)
        with contextlib.suppress(ValueError, TypeError):  # else it ended before its last word
            reply["judge"] = json.loads(said)
        if key and prepared and reply.get("judge") is not None:
            with contextlib.suppress(ValueError):
                PREPARED.put(key, json.loads(prepared))

    async def _listen(self) -> None:
        try:
            while data := await self._judge.receive():
                self._silent["judge's server"] = 0
                self._frames += data
                while (body := wire.split(self._frames)) is not None:
                    reply = wire.load(body)
                    waiter = self._waiting.get(reply.get("run", -1))
                    if waiter is not None:
                        waiter.reply = reply
                        waiter.event.set()
            self._lose("the judge's server ended")
        except (OSError, wire.WireError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._lose("the stream to the judge's server broke")

    async def _listen_zygote(self, tasks: TaskGroup) -> None:
        """Hears that it is at work, and what its runs ask of package indexes."""
        frames = bytearray()
        with contextlib.suppress(
            OSError, wire.WireError, anyio.BrokenResourceError, anyio.ClosedResourceError
        ):
            while data := await self._zygote.receive():
                self._silent["zygote"] = 0
                frames += data
                while (body := wire.split(frames)) is not None:
                    message = wire.load(body)
                    if "question" in message:
                        waiter = self._waiting.get(message["question"])
                        indexes = waiter.indexes if waiter is not None else None
                        tasks.start_soon(self._answer, message, indexes)
        self._lose("the zygote ended")

    async def _answer(self, question: dict[str, Any], indexes: Indexes | None) -> None:
        """Answers one question; a run asks one at a time, and waits."""
        answer = {"status": 502, "type": "text/plain", "total": 0, "body": ""}
        if indexes is not None:
            answer = await indexes.get(str(question["path"]), int(question["at"]))
        with contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with self._sending_zygote:
                await self._zygote.send(wire.dump({"answer": question["question"], **answer}))

    async def _ping(self, stream: Stream, sending: anyio.Lock) -> None:
        """Has a server say that it is at work, while something is waited for."""
        with contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while not self._lost:
                await anyio.sleep(_PING_SECONDS)
                if self._waiting:
                    async with sending:
                        await stream.send(wire.dump({"ping": 0}))

    async def _count_pings(self) -> None:
        """Gives up a server that hangs: it neither ends nor answers.

        Counts and does not measure: while this process itself is stopped, nothing is counted.
        """
        while not self._lost:
            await anyio.sleep(_PING_SECONDS)
            for who in self._silent:
                self._silent[who] = self._silent[who] + 1 if self._waiting else 0
                if self._silent[who] > _PINGS:
                    self._lose(f"the {who} does not answer")

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why
        self.retiring = self.retiring or why
        for waiter in self._waiting.values():
            waiter.scope.cancel()  # it may be sending to one that doesn't read

    async def aclose(self) -> None:
        """Ends both servers. Idempotent."""
        with anyio.CancelScope(shield=True):
            self._lose("closed")
            for stream in (self._judge, self._zygote):
                await stream.aclose()


class _Waiter:
    def __init__(self, indexes: Indexes | None) -> None:
        self.indexes = indexes
        self.event = anyio.Event()
        self.scope = anyio.CancelScope()
        self.reply: dict[str, Any] | None = None
