"""Which failures are the environment's, told by the end of their tracebacks."""

from __future__ import annotations

import pytest

from agent.fix.environment.lacking import lacking
from verifiers.repository import File, Snapshot

TREE = Snapshot(
    files={
        "shop/cart.py": File(content=b"def total(): ...\n"),
        "tests/conftest.py": File(content=b"def mine(request):\n    return 1\n"),
    }
)
SOCKET = "/usr/lib/python3.11/socket.py:851: in create_connection\n    raise exceptions[0]\n"


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("E   ModuleNotFoundError: No module named 'yaml'", "no module named 'yaml'"),
        ("E   ModuleNotFoundError: No module named 'yaml.nodes'", "'yaml.nodes'"),
        ("E   ModuleNotFoundError: No module named 'shop.gone'", ""),
        ("E   ModuleNotFoundError: No module named 'cart'", ""),
        ("E   ModuleNotFoundError: No module named 'distutils'", ""),
        ("E       fixture 'mocker' not found", "the fixture 'mocker'"),
        ("E       fixture 'mine' not found", ""),
        (f"{SOCKET}E   PermissionError: [Errno 1] Operation not permitted", "needs the network"),
        ("E   PermissionError: [Errno 1] Operation not permitted", ""),
        ("E   socket.gaierror: [Errno -2] Name or service not known", "needs the network"),
        ("E   OSError: [Errno 30] Read-only file system: 'out.txt'", "writes where it may not"),
        ("E   PermissionError: [Errno 13] Permission denied: '/etc/x'", "'/etc/x'"),
        (
            "subprocess.py:1955: in _execute_child\n"
            "E   FileNotFoundError: [Errno 2] No such file or directory: 'git'",
            "the program 'git'",
        ),
        ("E   FileNotFoundError: [Errno 2] No such file or directory: 'data'", ""),
        ("E   assert 'No module named x' == 'y'", ""),
        (
            "/usr/lib/python3.11/multiprocessing/synchronize.py:57: in __init__\n"
            "E   FileNotFoundError: [Errno 2] No such file or directory",
            "semaphores",
        ),
        ("E   FileNotFoundError: [Errno 2] No such file or directory", ""),
        ("E   locale.Error: unsupported locale setting", "lacks a locale"),
        ("E   assert 1 == 2", ""),
        ("", ""),
    ],
)
def test_what_a_failing_test_lacks(detail: str, expected: str) -> None:
    found = lacking(TREE, {"tests/test_a.py::test_a": detail}).get("tests/test_a.py::test_a", "")
    assert expected in found
    assert bool(found) == bool(expected)
