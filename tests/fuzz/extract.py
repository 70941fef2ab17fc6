"""Fuzzes what is made of a model's answer: the program in it, the gate, the hash."""

from __future__ import annotations

import symtable
import warnings

from tasks.model import PublicTask
from verifiers.extract import extract_program
from verifiers.gate import check_syntax, normalised_hash

INSTRUMENTED = (
    "verifiers.extract",
    "verifiers.fences",
    "verifiers.gate",
    "verifiers.snippets",
    "verifiers.statements",
    "verifiers.syntax",
)
WORDS = (
    "```python\n", "```\n", "~~~\n", "````", "<think>", "</think>", "[THINK]", "<|im_end|>",
    "def f(x):\n    ", "class f:\n", "async def f(", "return x", "lambda", ">>> ", "... ", "\r\n",
    "import ", "from __future__ import annotations\n", "from m import *\n", "if __name__ == ",
    "assert f(1)", "print(", "global f\n", '"""', "'''", "\\\n", "\ufeff", "\u201c", "\u201d",
    "\u00a0", "\0", "\t", "#", "@", ":=", "match x:\n case ", "f'{", "- ", "1. ", "> ", "pass\n",
    "f = ", "try:\n", "except*", "type X = ", "exec(", "\ud800",
)  # fmt: skip
LONGEST = 4096

_STUB = 'import math\n\n\ndef g(y):\n    return y\n\n\ndef f(x):\n    """Doubles x."""\n'
_TASKS = (
    PublicTask(id="stub", prompt=_STUB, entry_point="f"),
    PublicTask(id="prose", prompt="Write f, which doubles x.", entry_point="f"),
    PublicTask(id="class", prompt="Write a class f.", entry_point="f", entry_kind="class"),
    PublicTask(id="program", prompt="Add two numbers.", entry_kind="program"),
    PublicTask(id="repair", prompt="Repair f.", entry_point="f", start="def f(x): return h(x)\n"),
    PublicTask(id="bash", prompt="Add.", entry_kind="program", language="bash"),
    PublicTask(id="dots", prompt=f"```\n{_STUB}```", entry_point="f.g"),
)
_LENT = max(len(task.prompt) + len(task.start) for task in _TASKS)


def seeds() -> list[bytes]:
    """What a fuzzer starts from: answers as models write them, for each kind of task."""
    code = "def f(x):\n    return 2 * x\n"
    answers = (
        f"Sure!\n\n```python\n{code}```\nIt doubles.\n",
        f"<think>\n```\n{code}</think>\n{code}",
        f"1. So:\n\n   ```py\n   {code}   ```\n~~~\nimport re\n~~~\n",
        "    return math.floor(2 * x)\n",
        f"```\n{code}\nprint(f(2))\nassert f(1) == 2\n```\n```\nf(3)\n```",
        ">>> def f(x):\n...     return 2 * x\n>>> f(2)\n4\n",
        f"{code}\nif __name__ == '__main__':\n    f(1)\n<|im_end|>",
        "from m import *\nclass f:\n    def g(self): pass\n",
        "```bash\necho $(($1 + $2))\n```",
        "def f(x):\n    return “2”\u00a0* x\n",
        "def f(x):\n  if x:\n\treturn [1,\n",
    )
    return [bytes([row]) + a.encode() for row in range(len(_TASKS)) for a in answers]


def check(data: bytes) -> None:
    """Extracts and judges; raises where anything but a verdict comes of it."""
    task = _TASKS[data[0] % len(_TASKS)] if data else _TASKS[0]
    answer = data[1:].decode("utf-8", "surrogateescape")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program = extract_program(answer, task)
        result = check_syntax(program, task)
        direct = check_syntax(answer, task)
        assert len(normalised_hash(program)) == 32
    # A few line ends and an indentation of each line; see the function's promise.
    assert len(program) <= len(answer) + _LENT + 8 * (answer.count("\n") + 8)
    for text, verdict in ((program, result), (answer, direct)):
        assert verdict.ok == (verdict.kind == "ok")
        assert "\n" not in verdict.reason
        if not verdict.ok and task.language == "python":
            name = task.entry_point.partition(".")[0]
            assert not _runs(text, name), (verdict, text)


def _runs(text: str, name: str) -> bool:
    """Whether CPython takes the text and binds the name, which the gate must never turn away."""
    if not text.strip().strip("\ufeff"):
        return False  # is a module, and says nothing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = text.removeprefix("\ufeff")
            compile(source, "<candidate>", "exec", 0, True)
            table = symtable.symtable(source, "<candidate>", "exec")
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
        return False
    if not name:
        return True
    if name not in table.get_identifiers():
        return False
    symbol = table.lookup(name)
    return symbol.is_assigned() or symbol.is_imported()


def describe(data: bytes) -> str:
    """The data as a person would look at it."""
    task = _TASKS[data[0] % len(_TASKS)] if data else _TASKS[0]
    return f"{task.id}: {data[1:].decode('utf-8', 'surrogateescape')!r}"
