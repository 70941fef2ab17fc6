"""Makes a fork, and the life of what was forked, cost fewer pages of memory.

A page that is shared after a fork costs three times: it is entered into the child's tables, it is
copied if the child writes to it, and it is let go of at the child's end. Most of what a run costs
beside its program is that. Nothing here changes what a process does, and where the C library or
the kernel don't go along, it is left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import sys
from collections.abc import Iterator
from typing import Any

_HUGE = 2 << 20
_MREMAP_MAYMOVE, _MREMAP_FIXED, _MADV_COLLAPSE = 1, 2, 25
"""What the module `mmap` lacks, from `linux/mman.h` and `asm-generic/mman-common.h`."""
_LARGEST, _LARGEST_SMALL, _STEP = 64 << 10, 1032, 16
"""Bytes of the requests that gaps are filled by. Small ones have a list for each multiple of 16."""
_KEPT_APART = 1 << 20
"""More than what the C library keeps for the next requests without counting it as free."""


def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    address, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
        ("malloc", address, [size]),
        ("free", None, [address]),
        ("sbrk", address, [ctypes.c_ssize_t]),
        ("mmap", address, [address, size, *[ctypes.c_int] * 3, ctypes.c_long]),
        ("munmap", ctypes.c_int, [address, size]),
        ("mremap", address, [address, size, size, ctypes.c_int, address]),
        ("mprotect", ctypes.c_int, [address, size, ctypes.c_int]),
        ("madvise", ctypes.c_int, [address, size, ctypes.c_int]),
    ):
        function = getattr(libc, name)
        function.restype, function.argtypes = result, arguments
    if hasattr(libc, "mallinfo2"):
        libc.mallinfo2.restype = _Mallinfo
    return libc


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of the GNU C library, since 2.33."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")
    ] + [(name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")]


def fill_gaps() -> int:
    """Takes all memory that was freed between what is still in use, and never gives it back.

    A fork would be given these gaps first, all over the heap, and have a page copied for each.
    Without them it begins where nobody has been.

    Returns:
        How many gaps there were; 0 where the C library is another.
    """
    libc = _libc()
    if not hasattr(libc, "mallinfo2"):
        return 0
    info = libc.mallinfo2()
    end = libc.sbrk(0) - info.keepcost - 2 * _STEP
    left = info.fordblks - info.keepcost + _KEPT_APART
    sizes = [_LARGEST]
    while sizes[-1] * 7 // 8 > _LARGEST_SMALL:
        sizes.append(sizes[-1] * 7 // 8)
    filled = 0
    for size in (*sizes, *range(_LARGEST_SMALL, 0, -_STEP)):
        while left > 0 and (found := libc.malloc(size)):
            if found >= end:
                libc.free(found)
                break
            filled += 1
            left -= size
    return filled


def own_text() -> int:
    """Has what fills huge pages of the interpreter's code in huge pages of this process's own.

    A file's pages are no part of a fork's tables: each fork meets them anew, a fault for every few.
    A process's own memory is, and of a huge page one entry stands for 512 others. What is copied
    is the code and the constants beside it, and it comes to lie at the same addresses. The ends
    that fill no huge page stay where they are: a fork would get an entry for each page of them,
    used or not.

    Returns:
        How many huge pages were filled.
    """
    libc = _libc()
    spans = ((-(-first // _HUGE) * _HUGE, last // _HUGE * _HUGE) for first, last in _texts())
    return sum(
        (last - first) // _HUGE
        for first, last in spans
        if first < last and _is_moved(libc, first, last - first)
    )


def _texts() -> list[tuple[int, int]]:
    """Where the interpreter's code and constants lie, in its program or its library."""
    interpreter = os.path.realpath(sys.executable)
    spans: dict[str, tuple[int, int]] = {}
    with contextlib.suppress(OSError):
        for first, last, mode, path in _mappings():
            name = os.path.basename(path)
            if path != interpreter and not name.startswith("libpython3"):
                continue
            if mode not in ("r--p", "r-xp"):
                continue
            if path not in spans:
                spans[path] = (first, last)
            elif spans[path][1] == first:
                spans[path] = (spans[path][0], last)
    return list(spans.values())


def _mappings() -> Iterator[tuple[int, int, str, str]]:
    with open("/proc/self/maps") as file:
        lines = file.readlines()
    for line in lines:
        where, mode, _offset, _device, _inode, *path = line.split(None, 5)
        first, last = (int(address, 16) for address in where.split("-"))
        yield first, last, mode, path[0].strip() if path else ""


def _is_moved(libc: Any, first: int, size: int) -> bool:
    room = size + _HUGE
    kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    start = libc.mmap(None, room, mmap.PROT_READ | mmap.PROT_WRITE, kind, -1, 0)
    if not start or start == ctypes.c_void_p(-1).value:
        return False
    copy = -(-start // _HUGE) * _HUGE
    libc.madvise(copy, size, mmap.MADV_HUGEPAGE)
    ctypes.memmove(copy, first, size)
    moved = (
        libc.madvise(copy, size, _MADV_COLLAPSE) == 0
        and libc.mprotect(copy, size, mmap.PROT_READ | mmap.PROT_EXEC) == 0
        and libc.mremap(copy, size, size, _MREMAP_MAYMOVE | _MREMAP_FIXED, first) == first
    )
    if not moved:
        libc.munmap(start, room)
        return False
    libc.munmap(start, copy - start)
    libc.munmap(copy + size, start + room - copy - size)
    return True
