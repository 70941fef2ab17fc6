"""Tests for node:test that must fail: one more at each file's end, and real ones made to fail.

A canary is the last statement of its file. That it was reported says that the whole file was run;
and since it fails, no process of an honest run ends with status 0.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable

from verifiers.javascript import first_error, parse, test_function
from verifiers.repository.canary import MOST_TRAPS, WORDS
from verifiers.repository.snapshot import Snapshot

_REQUIRED = "require('node:assert')"


def canary_text(path: str, is_module: bool, chance: random.Random) -> tuple[str, str]:
    """A test that must fail, as the end of a file.

    Args:
        path: of the file.
        is_module: whether it is an ECMAScript module.
        chance: decides name and assertion.

    Returns:
        The test's name, and the text. It does nothing where another file imports this one.
    """
    name = " ".join(chance.sample(WORDS, 3))
    test, check, imports = "require('node:test')", _REQUIRED, ""
    if is_module:
        test, check = (f"_{word}" for word in chance.sample(WORDS, 2))
        imports = f"import {test} from 'node:test';\nimport {check} from 'node:assert';\n"
    own = f"if (String(process.argv[1]).endsWith({json.dumps(path)}))"
    call = f"{test}({json.dumps(name)}, () => {{ {_wrong(check, chance)} }});"
    return name, f"\n;{imports}{own} {call}\n"


def _wrong(check: str, chance: random.Random) -> str:
    """An assertion that can't hold, by one of several functions."""
    low = chance.randrange(1000)
    high = low + 1 + chance.randrange(99)
    return chance.choice(
        [
            f"{check}.strictEqual({low}, {high});",
            f"{check}.equal({low}, {high});",
            f"{check}.deepStrictEqual([{low}], [{high}]);",
            f"{check}.ok({low} === {high});",
        ]
    )


def set_traps(
    snapshot: Snapshot,
    ids: Iterable[str],
    is_module: Callable[[str, str], bool],
    chance: random.Random,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Makes half of some tests fail, under their own names.

    Args:
        snapshot: the pristine repository.
        ids: of the tests to choose from.
        is_module: whether the file of a path and text is an ECMAScript module.
        chance: decides which.

    Returns:
        The new texts of their files, and which of the ids must fail.
    """
    left = sorted(set(ids))
    chance.shuffle(left)
    wanted = min(max(1, len(left) // 2), MOST_TRAPS)
    texts: dict[str, str] = {}
    checks: dict[str, str] = {}
    trapped: list[str] = []
    for one in left:
        path, _, rest = one.partition("::")
        text = texts.get(path) or snapshot.text(path)
        at = _body(text, rest.split(" > ")) if text else None
        if text is None or at is None:
            continue
        if path not in checks:
            checks[path] = _REQUIRED
            if is_module(path, text):
                checks[path] = f"_{'_'.join(chance.sample(WORDS, 2))}"
                text += f"\n;import {checks[path]} from 'node:assert';\n"
        data = text.encode()
        wrong = f" {_wrong(checks[path], chance)}".encode()
        changed = (data[:at] + wrong + data[at:]).decode()
        if not first_error(changed):
            texts[path] = changed
            trapped.append(one)
            wanted -= 1
        if not wanted:
            break
    return texts, tuple(trapped)


def _body(text: str, names: list[str]) -> int | None:
    """Where the body of a test's function begins, in bytes; `None` if it isn't written plainly."""
    root = parse(text)
    function = None if root is None else test_function(root, names)
    body = None if function is None else function.child_by_field_name("body")
    return body.start_byte + 1 if body is not None and body.type == "statement_block" else None
