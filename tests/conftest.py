"""What all tests share: the async backend and where optional benchmark data lies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("regreen", deadline=None)  # machines that test are often busy
settings.load_profile("regreen")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """A shell that starts something in the background has it ignore Ctrl-C, and all below it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def benchmark_data() -> Path:
    """A folder with public benchmark data; tests that want it skip where it is absent."""
    folder = Path(os.environ.get("REGREEN_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no benchmark data in {folder} (set REGREEN_DATA)")
    return folder
