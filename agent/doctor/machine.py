"""What the kernel and the disks of this machine offer, for the doctor."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agent.doctor.findings import Finding, State
from agent.run import runs_folder
from agent.settings import Settings
from sandbox.folders import cache_folder
from sandbox.guest.kernel import CLONE_NEWUSER
from sandbox.guest.lockdown import landlock_abi

_PROBE_SECONDS = 5.0
_LITTLE_SPACE = 2**30
_NO_SPACE = 50 * 2**20
_UNSHARE = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare({flag}) != 0)"


def kernel() -> list[Finding]:
    """Release, and the features that the local sandbox is built on. Blocks for a moment."""
    if sys.platform != "linux":
        return [
            Finding(
                what="kernel",
                state="info",
                found=f"{platform.system()} {platform.release()}",
                advice="the local sandbox needs Linux; start a Docker engine",
            )
        ]
    bubblewrap = shutil.which("bwrap")
    return [
        Finding(what="kernel", state="info", found=f"Linux {platform.release()}"),
        _landlock(),
        _user_namespaces(),
        _seccomp(),
        Finding(
            what="bubblewrap",
            state="info",
            found=bubblewrap or "not installed",
            advice=""
            if bubblewrap
            else "only needed where user namespaces are refused: install bubblewrap",
        ),
    ]


def _landlock() -> Finding:
    abi = landlock_abi()
    if abi >= 1:
        return Finding(what="landlock", state="ok", found=f"ABI {abi}")
    advice = "boot a kernel of 5.13 or newer with lsm=landlock,... for the extra layer"
    return Finding(what="landlock", state="warning", found="not available", advice=advice)


def _user_namespaces() -> Finding:
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _UNSHARE.format(flag=CLONE_NEWUSER)],
            timeout=_PROBE_SECONDS,
            capture_output=True,
            check=False,
        )
        granted = done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        granted = False
    if granted:
        return Finding(what="user namespaces", state="ok", found="granted")
    return Finding(
        what="user namespaces",
        state="warning",
        found="refused to this user",
        advice="see the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone and "
        "kernel.apparmor_restrict_unprivileged_userns, or install bubblewrap",
    )


def _seccomp() -> Finding:
    if Path("/proc/sys/kernel/seccomp/actions_avail").is_file():
        return Finding(what="seccomp", state="ok", found="available")
    advice = "the local sandbox needs a kernel with CONFIG_SECCOMP_FILTER"
    return Finding(what="seccomp", state="problem", found="not available", advice=advice)


def folders(settings: Settings) -> list[Finding]:
    """Whether what is kept can be kept. Leaves nothing behind."""
    return [
        _folder("cache folder", cache_folder(), "set REGREEN_CACHE_DIR to another place"),
        _folder("runs folder", runs_folder(settings), "choose another place with --runs"),
    ]


def _folder(what: str, path: Path, otherwise: str) -> Finding:
    there = path.expanduser().absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        if not there.is_dir():
            raise NotADirectoryError(0, f"{there} is no folder")
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        found = f"{path}: {error.strerror or error}"
        return Finding(what=what, state="problem", found=found, advice=f"{otherwise}")
    state: State = "ok"
    if free < _LITTLE_SPACE:
        state = "problem" if free < _NO_SPACE else "warning"
    made = "" if os.path.lexists(path) else ", not made yet"
    found = f"{path}{made}; {free / 1e9:.1f} GB free"
    return Finding(
        what=what,
        state=state,
        found=found,
        advice="" if state == "ok" else f"make room or {otherwise}",
    )
