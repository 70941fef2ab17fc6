"""What makes forks cheaper leaves a process as it was, and does without where it can't be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
HUGE = Path("/sys/kernel/mm/transparent_hugepage")

GAPS = """
import ctypes
from sandbox.guest import pages
libc = pages._libc()
assert hasattr(libc, "mallinfo2"), "another C library"
sizes = [40 + 8 * number % 3000 for number in range(4000)]
blocks = [libc.malloc(size) for size in sizes]
for block in blocks[::2]:
    libc.free(block)
end = libc.sbrk(0) - libc.mallinfo2().keepcost - 64
assert any(libc.malloc(size) < end for size in range(24, 3000, 40)), "there were gaps"
print(pages.fill_gaps())
low = [size for size in range(24, 60_000, 40) if libc.malloc(size) < end]
# what ctypes itself takes and gives back in between is a handful
assert len(low) < 10, low
[bytearray(number) for number in range(5000)]
"""

MOVED = """
import ctypes, decimal, os, re, resource, sys, threading
from sandbox.guest import pages
def in_huge_pages():
    kib, is_code = 0, False
    for line in open("/proc/self/smaps"):
        words = line.split()
        if "-" in words[0]: is_code = words[1] == "r-xp"
        elif words[0] == "AnonHugePages:" and is_code: kib += int(words[1])
    return kib
address = ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value
count = pages.own_text()
print(count, in_huge_pages())
assert ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value == address
assert ctypes.CDLL(None).getpid() == os.getpid()
import json, sqlite3
assert re.sub("a+", "b", json.dumps({"a": decimal.Decimal(1).as_tuple()})).startswith('{"b"')
try: 1 // 0
except ZeroDivisionError: pass
thread = threading.Thread(target=lambda: sorted(range(10_000)))
thread.start(); thread.join()
pid = os.fork()
if pid == 0:
    import fractions
    os._exit(int(fractions.Fraction(14, 2)))
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
"""

TOO_OLD = 77
CALL = "count = pages.own_text()"
NO_ROOM = f"""
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 20), resource.RLIM_INFINITY))
{CALL}
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""
NOT_EXECUTABLE = f"""
# memory that was written to never becomes executable
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0): sys.exit({TOO_OLD})
{CALL}
"""


def executed(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )


def test_a_heap_goes_on_where_nobody_has_been() -> None:
    ended = executed(GAPS)
    assert ended.stderr == ""
    assert int(ended.stdout) > 1000


def test_code_in_memory_of_ones_own_is_the_same_code_at_the_same_place() -> None:
    ended = executed(MOVED)
    assert ended.stderr == ""
    count, kib = map(int, ended.stdout.split())
    if not count and not HUGE.exists():
        pytest.skip("the kernel has no huge pages")
    assert count > 0
    assert kib == count * 2048


@pytest.mark.parametrize("limit", [NO_ROOM, NOT_EXECUTABLE], ids=["no room", "not executable"])
def test_where_it_can_not_be_had_all_stays_as_it_was(limit: str) -> None:
    ended = executed(MOVED.replace(CALL, limit))
    if ended.returncode == TOO_OLD:
        pytest.skip("the kernel can't forbid it; Linux 6.3 can")
    assert ended.stderr == ""
    assert ended.stdout.split() == ["0", "0"]
