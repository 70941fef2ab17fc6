"""Walls: what a program can't see, reach or change, each tried in several ways.

Every way is tried in a process of its own and says by its return value whether it got through, so
that a failed check names what was open. Where no wall stops it, a way does no harm: it asks and
lets go.
"""

from __future__ import annotations

import secrets
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pydantic

from sandbox.guest import kernel
from sandbox.jobs import Job, Report
from sandbox.servers import JUDGE_PACKAGES

from .bench import Bench, asserts, check, job, must_end, told
from .model import Check, Unmet
from .ways import PRELUDE, WALLS

_GOT_THROUGH = "open"
_TRY = """
WAYS = {}
def way(name):
    return lambda act: WAYS.setdefault(name, act)
def attempt(name):
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(42 if WAYS[name]() not in (False, None) else 43)
        except (OSError, ImportError, ValueError, OverflowError):
            os._exit(43)
        except BaseException as error:
            os.write(2, f"{name}: {type(error).__name__}: {error}\\n".encode())
        os._exit(44)
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 44:
        raise RuntimeError("this way of the suite is broken")
    return "open" if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 42 else "closed"
"""


def wall_job(ways: Mapping[str, str], **words: str) -> Job:
    """The job that tries these ways: a name, and the body of a function that is true if it is open.

    Args:
        ways: by name.
        words: what stands for `@WORD@` in their text.
    """
    parts = [PRELUDE.replace("@NUMBERS@", repr(dict(kernel.NUMBERS))), _TRY]
    for number, (name, body) in enumerate(ways.items()):
        lines = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
        parts.append(f"@way({name!r})\ndef way{number}():\n{lines}\n")
    text = "\n".join(parts)
    for word, value in words.items():
        text = text.replace(f"@{word.upper()}@", value)
    tests = asserts("\n".join(f"assert attempt({name!r}) == 'closed'" for name in ways))
    limits = {"cpu_seconds": 10, "wall_seconds": 30}
    return job(text, tests, entry_point="attempt", limits=limits)


def must_be_closed(report: Report, ways: Mapping[str, str]) -> None:
    """Raises `Unmet` with the names of the ways that were open."""
    through = [
        name
        for name in ways
        for test in report.tests
        if test.name.startswith(f"attempt({name!r})") and f"got '{_GOT_THROUGH}'" in test.detail
    ]
    if through:
        raise Unmet(f"open: {', '.join(through)}")
    if report.outcome != "passed" or report.calls < len(ways):
        said = report.output.strip().splitlines()
        raise Unmet(f"not all could be tried: {told(report)} {said[-1] if said else ''}".rstrip())


def _wall(name: str, proves: str, ways: Mapping[str, str]) -> Check:
    @check("walls", name, proves)
    async def wall(bench: Bench) -> str:
        words = {
            "canary": str(bench.canary),
            "home": str(Path.home()),
            "here": __file__,
            "judge": JUDGE_PACKAGES,
            "packages": str(Path(pydantic.__file__).parent.parent),
        }
        must_be_closed(await bench.run(wall_job(ways, **words)), ways)
        return f"{len(ways)} ways tried"

    return wall


@check("walls", "files of other slots", "A program doesn't see what its neighbours have.",
       alone=True)  # fmt: skip
async def _slots(bench: Bench) -> str:
    if bench.sandbox.slots < 2:
        return "one slot: there are no neighbours"
    mark = f"slot-{secrets.token_hex(8)}"
    neighbour = f"""
        import os, time
        open("{mark}", "w").close()
        os.chmod("{mark}", 0o666)
        print(os.getcwd(), flush=True)
        def f(x):
            time.sleep(1.5)
            return x + 1
    """
    looks = """
        places = ["..", "/tmp", "/slots", "/var/tmp", "/dev/shm", "/run", "../.."]
        places += [f"/slots/{n}" for n in range(16)] + [f"../{n}" for n in range(16)]
        places += [f"/proc/{pid}/cwd" for pid in range(1, 400)]
        own = os.path.realpath(".")
        for place in places:
            try:
                if os.path.realpath(place) != own and "@MARK@" in os.listdir(place):
                    return True
            except OSError:
                pass
        return False
    """
    lists = """
        for n in range(16):
            try:
                if os.path.realpath(f"../{n}") != os.path.realpath("."):
                    os.listdir(f"../{n}")
                    return True
            except OSError:
                pass
    """
    ways = {"a neighbour's file": looks, "a neighbour's folder": lists}
    # the first to arrive sees its neighbour's file only once that is there
    waits = "import time\ntime.sleep(0.5)\nreturn False"
    seeing = wall_job({"a moment's wait": waits, **ways}, mark=mark)
    first = job(neighbour, asserts("assert f(2) == 3"))
    reports = await bench.run_all([first, seeing])
    must_end(reports[0], "passed")
    must_be_closed(reports[1], ways)
    return ""


CHECKS = [*(_wall(name, *given) for name, given in WALLS.items()), _slots]
