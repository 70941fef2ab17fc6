"""The program's entry: what happens when a command ends, fails, or is interrupted.

It imports next to nothing, so that Ctrl-C during the imports and a foreign module under one of
our names end in one line, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

_NOT_FINISHED = 3
_USAGE = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and ends the process with one of `Exit`'s codes."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code, message = _run(words)
    except KeyboardInterrupt:
        code, message = _INTERRUPTED, "interrupted"
    _end(code, message)


def _run(words: list[str]) -> tuple[int, str]:
    """The exit code, and the line to say about it."""
    clash = _clash()
    if clash:
        return _USAGE, clash
    _plain_streams()
    with interrupted_once_and_for_all():
        from agent.cli.errors import known_error
        from agent.cli.interrupt import InterruptedRunError

    try:
        with interrupted_once_and_for_all():
            from agent.cli.commands import run

        return run(words), ""
    except InterruptedRunError as error:
        return _INTERRUPTED, str(error)
    except Exception as error:
        if _reader_is_gone(error):
            return _NOT_FINISHED, ""  # whoever read our output has seen enough
        found = known_error(error)
        if found is None:
            import traceback

            traceback.print_exc()
            return _NOT_FINISHED, "this is a fault in Regreen itself; please report the lines above"
        return int(found[1]), str(found[0])


@contextlib.contextmanager
def interrupted_once_and_for_all() -> Iterator[None]:
    """Ctrl-C ends what is done within, even where a module's import swallows the exception."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came: list[int] = []

    def interrupt(number: int, _frame: object) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


def _clash() -> str:
    from agent.clashes import shadowed

    for name, place in shadowed().items():
        return (
            f"Python finds another module {name!r} before Regreen's: {place}; rename it, take its "
            "folder out of PYTHONPATH, or install Regreen on its own (pipx, uv tool)"
        )
    return ""


def _plain_streams() -> None:
    """UTF-8 whatever the locale says: a program's text goes out as it is."""
    for stream, errors in ((sys.stdout, "surrogatepass"), (sys.stderr, "backslashreplace")):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors=errors)


def _reader_is_gone(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(map(_reader_is_gone, error.exceptions))
    return isinstance(error, BrokenPipeError)


def _end(code: int, message: str = "") -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is closed: the next one may simply end it
    if message:
        with contextlib.suppress(OSError):
            print(f"regreen: {_one_line(message)}", file=sys.stderr, flush=True)
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try again at its exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not message and not isinstance(error, BrokenPipeError):
            print(f"regreen: can't write standard output: {error.strerror}", file=sys.stderr)
        code = code or _NOT_FINISHED
    sys.exit(code)


def _one_line(message: str) -> str:
    """A message without line breaks or anything that could steer a terminal, or a CI's runner."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", message).replace("##[", "# #[").strip()
