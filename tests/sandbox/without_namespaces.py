"""Runs a Python script where the kernel grants neither namespaces nor mounts.

That is what an engine's default profile does to whoever works in a container. The script and its
arguments follow on the command line.
"""

from __future__ import annotations

import os
import struct
import sys

from sandbox.guest import kernel, lockdown

_REFUSED = ("unshare", "setns", "mount", "pivot_root", "mount_setattr", "open_tree", "fsopen")
_LOAD, _EQUAL, _ANY_BIT, _GIVE = 0x20, 0x15, 0x45, 0x06
_EPERM, _ENOSYS, _ALLOW = 0x00050001, 0x00050000 | 38, 0x7FFF0000
_NAMESPACE_FLAGS = 0x7E020000


def program() -> bytes:
    """The filter, for one architecture: nobody tries to get round it."""
    code = [(_LOAD, 0, 0, 0)]
    for name in _REFUSED:
        code += [(_EQUAL, 0, 1, kernel.NUMBERS[name]), (_GIVE, 0, 0, _EPERM)]
    code += [(_EQUAL, 0, 1, kernel.NUMBERS["clone3"]), (_GIVE, 0, 0, _ENOSYS)]
    code += [
        (_EQUAL, 0, 3, kernel.NUMBERS["clone"]),
        (_LOAD, 0, 0, 16),
        (_ANY_BIT, 0, 1, _NAMESPACE_FLAGS),
        (_GIVE, 0, 0, _EPERM),
        (_GIVE, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in code)


if __name__ == "__main__":
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    lockdown.apply_seccomp(program())
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
