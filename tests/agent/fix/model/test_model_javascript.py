"""A model and JavaScript: what it is asked, how its code is read, and repairs from end to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from agent.fix.asking import Situation
from agent.fix.candidate import Candidate, Place
from agent.fix.javascript import JAVASCRIPT
from agent.fix.javascript.grammar import JAVASCRIPT_GRAMMAR
from agent.fix.languages import PYTHON, Language
from agent.fix.model.attempt import AttemptKind, read_attempt
from agent.fix.model.prompts import first_request, prompts_digest
from agent.fix.patches.base import Answer, PatchError, Texts
from agent.fix.patches.registry import check_kept, read_patch
from agent.fix.suspects import Suspect
from agent.fix.targets import Targets
from sandbox.registry import SandboxOptions, create_sandbox
from tests.agent.cli.conftest import cache, regreen, say, server
from tests.agent.fix.model.test_model_asking import block, never
from tests.agent.fix.test_fix_javascript import snapshot
from tests.verifiers.test_node_suite import need_node
from verifiers.repository import RepositoryVerifier, SuiteOptions

__all__ = ["cache", "regreen", "say", "server"]

Run = Callable[..., Any]
SIZES = """'use strict';
const { round } = require('./round.js');

/** A size in words. */
function words(bytes) {
  if (bytes < 1024) {
    return `${bytes} B`;
  }
  return `${round(bytes / 1024)} KiB`;
}

class Disk {
  constructor(free) { this.free = free; }
  toString() {
    return words(this.free);
  }
}

exports.twice = function (x) {
  return x * 2;
};
exports.pair = {
  first(x) {
    return x[0];
  },
  last: (x) => x[1],
};
const half = (x) => x / 2, third = (x) => x / 3;

Object.assign(exports, { Disk, half, third, words });
"""
ROUND = "exports.round = (x) => Math.round(x * 10) / 10;\n"
TESTS = """'use strict';
const { describe, it } = require('node:test');
const assert = require('node:assert');
const { Disk, words } = require('../lib/sizes.js');

describe('words', () => {
  it('has bytes', () => { assert.strictEqual(words(1000), '1000 B'); });
  it('has kilobytes', () => { assert.strictEqual(words(1536), '1.5 KiB'); });
  it('has more', () => {
    assert.strictEqual(words(3 * 1024 ** 2), '3 MiB');
    assert.strictEqual(words(5.5 * 1024 ** 3), '5.5 GiB');
    assert.strictEqual(`${new Disk(2048)}`, '2 KiB');
  });
});
"""
DISK = {"lib/sizes.js": SIZES, "lib/round.js": ROUND, "test/sizes.js": TESTS}
MORE = "test/sizes.js::words > has more"
LINE = "  return `${round(bytes / 1024)} KiB`;\n"
LOOP = """  let size = bytes, unit = -1;
  while (size >= 1024 && unit < 3) {
    size /= 1024;
    unit += 1;
  }
  return `${round(size)} ${'KMGT'[unit]}iB`;
"""
FIXED = SIZES.replace(LINE, LOOP)
FUNCTION = FIXED[FIXED.index("function words") : FIXED.index("\nclass Disk")]


def code(text: str, path: str = "") -> str:
    return f"{path}\n```javascript\n{text}```"


def situation(language: Language = JAVASCRIPT, sizes: str = SIZES) -> Situation:
    tree = snapshot({**DISK, "lib/sizes.js": sizes})
    sandbox = create_sandbox("local", SandboxOptions())
    return Situation(
        snapshot=tree,
        targets=Targets(failing={MORE: "actual: '3072 KiB'\nexpected: '3 MiB'"}),
        suspects=(Suspect(path="lib/sizes.js", name="words", line=5, last=10, score=1.0),),
        verifier=RepositoryVerifier(sandbox, tree, SuiteOptions(runner="node")),
        verify=never,
        language=language,
    )


def patched(answer: str, files: dict[str, str] | None = None) -> dict[str, str]:
    tree = snapshot(files or DISK)
    texts = Texts(tree, [path for path in tree.files if path.startswith("lib/")])
    made = dict(read_patch(Answer(answer), texts, JAVASCRIPT_GRAMMAR).texts)
    check_kept(made, tree, JAVASCRIPT_GRAMMAR)
    return made


def test_a_request_speaks_of_javascript() -> None:
    text = first_request(situation())
    assert "Some tests of a JavaScript project fail." in text
    assert "```javascript\n  it('has more', () => {\n" in text
    assert "```javascript\n 1| 'use strict';" in text
    assert "path/of/file.js\n<<<<<<< SEARCH" in text
    assert "function in one ```javascript block." in text
    assert "\nlib/round.js, lib/sizes.js\n" in text
    assert "Tests, package.json, settings and all else" in text
    assert "python" not in text.lower()
    # of a long file the function, what is said above it, and what the file begins with
    long = first_request(situation(sizes=SIZES + "// more\n" * 900))
    assert "```javascript\n1| 'use strict';\n2| const { round }" in long
    assert "```javascript\n 4| /** A size in words. */\n 5| function words(bytes) {" in long
    assert "class Disk" not in long


def test_a_language_without_a_grammar_is_asked_for_marked_patches_only() -> None:
    ruby = Language(
        JAVASCRIPT.runtime,
        JAVASCRIPT.suspects,
        JAVASCRIPT.edits,
        title="Ruby",
        fence="ruby",
        kept="",
        grammar=None,
    )
    text = first_request(situation(ruby))
    assert "of a Ruby project" in text
    assert "path/of/file\n<<<" in text
    assert "take enough of them.\n\nThese files" in text
    assert "Tests, settings and all else" in text
    with pytest.raises(PatchError, match="has no patch"):
        read_patch(Answer(code(FUNCTION)), Texts(snapshot(DISK), ["lib/sizes.js"]), None)
    digests = {prompts_digest(one) for one in (PYTHON, JAVASCRIPT, ruby)}
    assert len(digests) == 3


@pytest.mark.parametrize(
    "answer",
    [
        code(FUNCTION),
        code(f"'use strict';\nconst {{ round }} = require('./round.js');\n\n{FUNCTION}"),
        code(indent(FUNCTION, "    "), "lib/sizes.js"),
        code(f"export {FUNCTION}"),
        code(FIXED, "lib/sizes.js"),
        code(FIXED),
        f"{code(FUNCTION)}\nTry it:\n```js\nconsole.log(words(1));\n```\n```sh\nnode --test\n```",
        block("lib/sizes.js", LINE, LOOP),
    ],
    ids=[
        "function", "with what is imported", "indented",
        "exported", "file", "file without a path", "with an example", "block",
    ],
)  # fmt: skip
def test_one_change_in_many_ways_of_writing(answer: str) -> None:
    assert patched(answer) == {"lib/sizes.js": FIXED}


@pytest.mark.parametrize(
    ("given", "old", "new"),
    [
        ("toString() {\n  return 'x';\n}\n", "return words(this.free)", "return 'x'"),
        ("class Disk {\n  // ...\n  toString() {\n    return 'x';\n  }\n}\n",
         "return words(this.free)", "return 'x'"),
        ("exports.twice = function (x) {\n  return x + x;\n};\n", "x * 2", "x + x"),
        ("module.exports.twice = (x) => {\n  return x + x;\n};\n",
         "exports.twice = function (x) {\n  return x * 2",
         "module.exports.twice = (x) => {\n  return x + x"),
        ("first(x) {\n  return x.at(0);\n}\n", "x[0]", "x.at(0)"),
        ("last: (x) => x.at(1)\n", "x[1]", "x.at(1)"),
        ("/** In words. */\nfunction words(bytes) {\n  return 'x';\n}\n",
         SIZES[SIZES.index("/** A") : SIZES.index("\nclass")],
         "/** In words. */\nfunction words(bytes) {\n  return 'x';\n}\n"),
        ("const words = (bytes) => {\n  return `\n x\n`;\n};\n",
         SIZES[SIZES.index("function words") : SIZES.index("\nclass")],
         "const words = (bytes) => {\n  return `\n x\n`;\n};\n"),
    ],
)  # fmt: skip
def test_functions_stand_in_many_forms(given: str, old: str, new: str) -> None:
    assert SIZES.count(old) == 1
    assert patched(code(given)) == {"lib/sizes.js": SIZES.replace(old, new)}


def test_functions_bring_their_imports_and_helpers() -> None:
    made = patched(
        code(
            "const { round } = require('./round.js');\nconst os = require('node:os');\n\n"
            "function unit(n) {\n  return 'KMGT'[n];\n}\n\n"
            "function words(bytes) {\n  return bytes + unit(os.x);\n}\n"
        )
    )["lib/sizes.js"]
    assert made.startswith(
        "'use strict';\nconst { round } = require('./round.js');\n"
        "const os = require('node:os');\n\n"
        "function unit(n) {\n  return 'KMGT'[n];\n}\n\n/** A size in words. */\nfunction words"
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (code("function words(bytes) {\n  return (;\n}\n"), "no valid JavaScript (line 2 of it)"),
        (code("function word(bytes) {\n  return 1;\n}\n"), "no function word"),
        (code("function twice(x) {\n  return 1;\n}\n"), "has to begin as what it replaces"),
        (code("const half = (x) => x;\n"), "shares its lines"),
        (code("const { round, x } = require('y');\nfunction words(b) {\n  return x;\n}\n"),
         "has round already"),
        (block("lib/sizes.js", SIZES[SIZES.index("class Disk") : SIZES.index("exports.tw")], ""),
         "takes Disk out of"),
        (code(f"{FUNCTION}words(1);\n"), "more than functions (line 12 of it)"),
        (code("words(1);\n"), "no patch"),
        (code("const size = 3;\n"), "no patch"),
    ],
)  # fmt: skip
def test_what_does_not_apply_says_why(answer: str, said: str) -> None:
    with pytest.raises(PatchError) as caught:
        patched(answer)
    assert said in str(caught.value)


def test_a_function_may_become_a_value_or_an_import() -> None:
    kept = block("lib/round.js", ROUND, "exports.round = require('./more.js').round;\n")
    assert patched(kept) == {"lib/round.js": "exports.round = require('./more.js').round;\n"}
    module = {"lib/a.mjs": "import { b } from './b.mjs';\nexport const a = (x) => b(x);\n"}
    assert patched(code("const a = (x) => x;\n"), module) == {
        "lib/a.mjs": "import { b } from './b.mjs';\nexport const a = (x) => x;\n"
    }


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ("The size is wrong.", AttemptKind.WORDS, "no patch"),
        (block("lib/sizes.js", LINE, "  return (;\n"), AttemptKind.BROKEN,
         "no valid JavaScript: lib/sizes.js: line 9"),
        (block("lib/sizes.js", "  return 1;\n", "  return 2;\n"), AttemptKind.UNAPPLIED,
         "'return 1;'"),
        (block("test/sizes.js", "const assert = require('node:assert');\n", ""),
         AttemptKind.FORBIDDEN, "belongs to the tests"),
        (block("package.json", "", "{}\n"), AttemptKind.FORBIDDEN, "no JavaScript source"),
        (code("const half = 1;\n\nwords(2);\nfunction words() {}\n", "lib/sizes.js"),
         AttemptKind.DELETING, "takes Disk"),
    ],
)  # fmt: skip
def test_answers_that_come_to_no_patch(answer: str, kind: AttemptKind, said: str) -> None:
    known = situation()
    attempt = read_attempt(Answer(answer), known.verifier, frozenset(), known.language)
    assert (attempt.kind, attempt.candidate) == (kind, None)
    assert said in attempt.reason


def test_a_patch_knows_its_places() -> None:
    known = situation()
    answer = Answer(block("lib/sizes.js", "    return words(this.free);\n", "    return 'x';\n"))
    found = read_attempt(answer, known.verifier, frozenset(), known.language).candidate
    assert isinstance(found, Candidate)
    assert found.places == (Place(path="lib/sizes.js", name="Disk.toString", line=15),)


WORDS = "The larger units are missing."
CHECK = "    assert.strictEqual(words(3 * 1024 ** 2), '3 MiB');\n"
TEST_EDIT = block("test/sizes.js", CHECK, CHECK.replace("3 MiB", "3072 KiB"))
BROKEN = block("lib/sizes.js", LINE, LOOP.replace("size >= 1024 &&", "size >= 1024 &&)"))
WRONG = block("lib/sizes.js", LINE, "  return `${round(bytes / 1024 ** 2)} MiB`;\n")


@pytest.mark.parametrize(
    "right",
    [block("lib/sizes.js", LINE, LOOP), code(FUNCTION), code(FIXED, "lib/sizes.js")],
    ids=["block", "function", "file"],
)
def test_a_repository_is_repaired(
    regreen: Run, tmp_path: Path, server: Any, say: Callable[[str], Any], right: str
) -> None:
    need_node()
    folder = tmp_path / "disk"
    for path, text in DISK.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    answers = (WORDS, TEST_EDIT, BROKEN, WRONG, right)
    server.answer = lambda _request: say(answers[min(len(server.requests), len(answers)) - 1])
    report = tmp_path / "report.md"
    ended = regreen(
        "fix", folder, *server.words, "--sandbox", "local", "--candidates", "20",
        "--concurrency", "1", "--json", "--report", report,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    found = ended.rows[0]
    assert (found["status"], found["origin"], found["fixed"]) == ("fixed", "model", [MORE])
    assert (found["files"], found["still_failing"]) == (["lib/sizes.js"], [])
    assert found["confidence"] == "plausible"
    counts = found["answers"]
    assert (counts["words"], counts["forbidden"], counts["broken"]) == (1, 1, 1)
    assert (counts["judged"], counts["unapplied"]) == (2, 0)
    assert counts["repeated"] == counts["received"] - 5
    assert len(server.requests) == counts["received"]
    assert "no valid code" in report.read_text()
    added = [line[1:] for line in found["diff"].split("\n")[2:] if line.startswith("+")]
    assert added == LOOP.rstrip("\n").split("\n")

    said = "\n".join(message["content"] for one in server.requests for message in one["messages"])
    assert "JavaScript project" in said
    assert "```javascript\n" in said
    assert "python" not in said.lower()
