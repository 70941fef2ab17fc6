"""Runs one fuzz target under atheris, which steers by coverage, and grows its corpus.

    python tests/fuzz/run.py TARGET [--seconds N] [--keep]

Ends with 0 if nothing was found. What is found is written to the current folder and shown; then it
becomes a test of the code at fault. `--keep` adds what reached new code to `corpus/TARGET`, and
drops what the rest makes needless. Each input has ten seconds, and all of them 1 GiB of memory.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TARGETS = ("wire", "extract", "journal")


def corpus(target: str) -> Path:
    """Where a target's corpus is kept."""
    return HERE / "corpus" / target


def load(target: str) -> Any:
    """A target's module."""
    return importlib.import_module(f"tests.fuzz.{target}")


def fuzz(target: str, given: list[str]) -> None:
    """Hands this process over to libFuzzer, which ends it."""
    import atheris

    with atheris.instrument_imports(include=list(_instrumented(target))):
        module = load(target)

    def one(data: bytes) -> None:
        module.check(data)

    # The first word is what libFuzzer gives a shell to start more of itself.
    itself = shlex.join([sys.executable, str(Path(__file__).resolve()), target, "--raw"])
    atheris.Setup([itself, *given], one, enable_python_coverage=True)
    atheris.Fuzz()


def _instrumented(target: str) -> list[str]:
    """Read off the source: imported, it would have imported them without instruments."""
    space: dict[str, Any] = {}
    text = (HERE / f"{target}.py").read_text()
    start = text.index("INSTRUMENTED = ")
    exec(text[start : text.index(")\n", start) + 2], space)
    return list(space["INSTRUMENTED"])


def _again(target: str, *given: str) -> int:
    """The same in a process of its own, and its exit code."""
    command = [sys.executable, str(Path(__file__).resolve()), target, "--raw", *given]
    return subprocess.run(command, check=False).returncode


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Runs one fuzz target under atheris.")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="wall time (60)")
    parser.add_argument("--keep", action="store_true", help="add what it finds to the corpus")
    parser.add_argument("--raw", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("atheris is not here: pip install 'regreen[fuzz]'", file=sys.stderr)
        return 2
    if chosen.raw is not None:
        fuzz(chosen.target, chosen.raw)
        return 0
    module = load(chosen.target)
    with tempfile.TemporaryDirectory() as scratch:
        found, seeds, small = (Path(scratch, name) for name in ("found", "seeds", "small"))
        for folder in (found, seeds, small):
            folder.mkdir()
        for number, seed in enumerate(module.seeds()):
            (seeds / str(number)).write_bytes(seed)
        words = Path(scratch, "words")
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in module.WORDS))
        kept = corpus(chosen.target)
        kept.mkdir(parents=True, exist_ok=True)
        code = _again(
            chosen.target, str(found), str(kept), str(seeds), f"-dict={words}",
            f"-max_total_time={chosen.seconds}", f"-max_len={module.LONGEST}", "-timeout=10",
            "-rss_limit_mb=1024", "-print_final_stats=1", f"-artifact_prefix={os.getcwd()}/",
            "-use_value_profile=0",
        )  # fmt: skip
        if code == 0 and chosen.keep:
            code = _again(
                chosen.target, "-merge=1", str(small), str(found), str(kept), str(seeds),
                f"-max_len={module.LONGEST}", "-timeout=10",
            )  # fmt: skip
            if code == 0 and list(small.iterdir()):
                shutil.rmtree(kept)
                shutil.copytree(small, kept)
                print(f"{len(list(kept.iterdir()))} inputs in {kept}")
        return code


def _escaped(word: str) -> str:
    data = word.encode("utf-8", "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in data)


if __name__ == "__main__":
    sys.path[0] = str(HERE.parent.parent)
    sys.exit(main())
