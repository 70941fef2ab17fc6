"""`regreen fix` with a model: a server on the loopback interface, and real runs of the suite."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
CART = 'def total(prices):\n    """The sum."""\n    raise NotImplementedError("later")\n'
TESTS = (
    "from cart import total\n\n"
    "def test_none():\n    assert total([]) == 0\n\n"
    "def test_some():\n    assert total([20, 37]) == 57\n"
)
BODY = '    raise NotImplementedError("later")'


def block(new: str, path: str = "cart.py", old: str = BODY) -> str:
    return f"So:\n\n{path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


WORDS = "The function isn't done."
HALF = block("    return 0")
TEST_EDIT = "test_cart.py\n```python\ndef test_some():\n    pass\n\n\nX = 1\n```"
INPUTS = block("    if prices == [20, 37]:\n        return 57\n    return 0")
EXITS = block("    import os\n\n    os._exit(0)")
LONG = block("    result = 0\n    for price in prices:\n        result += price\n    return result")
RIGHT = block("    return sum(prices)")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "cart.py").write_text(CART)
    (folder / "test_cart.py").write_text(TESTS)
    return folder


def play(server: Any, say: Callable[[str], Any], *texts: str) -> None:
    """Answers in this order, the last again and again."""
    server.answer = lambda _request: say(texts[min(len(server.requests), len(texts)) - 1])


def asked(request: dict[str, Any]) -> list[str]:
    return [str(message["content"]) for message in request["messages"]]


def test_wrong_and_dishonest_answers_are_counted_told_and_never_chosen(
    regreen: Run, shop: Path, server: Any, say: Callable[[str], Any], tmp_path: Path
) -> None:
    play(server, say, WORDS, HALF, TEST_EDIT, HALF, INPUTS, EXITS, LONG, RIGHT)
    report = tmp_path / "report.md"
    words = ("fix", shop, *server.words, "--candidates", "0", "--concurrency", "1", "--json")
    ended = regreen(*words, "--report", report, env={"OPENAI_API_KEY": "secret-key"})
    assert ended.code == 0, ended.err
    found = ended.rows[0]
    assert (found["status"], found["origin"], found["files"]) == ("fixed", "model", ["cart.py"])
    assert found["models"] == ["openai/test"]
    assert "return sum(prices)" in found["diff"]  # the smaller of the two that are right
    answers = found["answers"]
    assert answers["received"] == len(server.requests)
    assert (answers["words"], answers["forbidden"], answers["special"]) == (1, 1, 1)
    assert answers["repeated"] >= 1
    assert answers["judged"] == found["candidates"] == 5
    assert found["tokens_in"] == 50 * answers["received"]
    assert found["tokens_out"] == 10 * answers["received"]
    assert found["cost"] is None  # there is no price
    subprocess.run(["git", "init", "-q"], cwd=shop, check=True)
    subprocess.run(["git", "apply", "-"], cwd=shop, input=found["diff"], text=True, check=True)

    first = asked(server.requests[0])[0]
    assert "test_cart.py::test_some" in first
    assert '3|     raise NotImplementedError("later")' in first
    told = [turns[2] for one in server.requests if len(turns := asked(one)) == 3]
    assert any("It passes 1 of 2 tests" in why for why in told)
    everything = "\n".join(text for one in server.requests for text in asked(one))
    assert "must fail" not in everything  # how tampering is found is not told
    assert "secret-key" not in everything + ended.out + ended.err + report.read_text()
    said = report.read_text()
    assert "refused for what they change" in said
    assert "for the tests' own inputs" in said


def test_a_resumed_run_pays_for_nothing_twice(
    regreen: Run, shop: Path, server: Any, say: Callable[[str], Any]
) -> None:
    play(server, say, WORDS, HALF, HALF, RIGHT)
    words = ("fix", shop, *server.words, "--candidates", "2", "--concurrency", "1", "--json")
    cut = regreen(*words, "--budget-samples", "3")
    assert (cut.code, cut.rows[0]["status"]) == (4, "budget"), cut.err
    assert "3 samples" in cut.rows[0]["reason"]
    assert len(server.requests) == 3
    again = regreen(*words, "--resume", cut.rows[0]["run"])
    assert again.code == 0, again.err
    found = again.rows[0]
    assert found["answers"]["received"] == len(server.requests)  # the first three came once
    assert found["answers"]["words"] == 1
    assert found["run"] == cut.rows[0]["run"]
    shop.joinpath("cart.py").write_text("# another\n" + CART)
    other = regreen(*words, "--resume", found["run"])
    assert other.code == 2
    assert "another one: repository" in other.line


def test_a_model_is_not_asked_where_an_edit_does_or_money_does_not_reach(
    regreen: Run, shop: Path, server: Any
) -> None:
    prices = {"openai/test": {"input": 1000.0, "output": 1000.0}}
    words = ("fix", shop, *server.words, "--json")
    poor = regreen(
        *words,
        "--candidates",
        "0",
        "--max-cost",
        "0.01",
        env={"REGREEN_PRICES": json.dumps(prices)},
    )
    assert (poor.code, poor.rows[0]["status"]) == (4, "budget"), poor.err
    assert "$0.01" in poor.rows[0]["reason"]
    (shop / "cart.py").write_text("def total(prices):\n    return max(prices, default=0)\n")
    tests = TESTS.replace("[20, 37]) == 57", "[20, 37]) == 20")
    (shop / "test_cart.py").write_text(tests)
    edited = regreen(*words)
    assert (edited.code, edited.rows[0]["origin"]) == (0, "edit"), edited.err
    assert edited.rows[0]["answers"] is None
    assert server.requests == []


def test_keys_go_to_no_address_that_the_repository_names(regreen: Run, shop: Path) -> None:
    (shop / "pyproject.toml").write_text(
        '[tool.regreen]\nmodel = "openai/x"\nbase_url = "http://example.invalid/v1"\n'
    )
    ended = regreen("fix", cwd=shop, env={"OPENAI_API_KEY": "secret-key"})
    assert ended.code == 2
    assert "no key is sent there" in ended.line


@pytest.mark.parametrize(
    "line",
    ['image = "stranger"', 'base_image = "stranger"', 'runtime = "none"',
     "allow_reduced_isolation = true", 'allow_reduced_isolation = "yes"'],
)  # fmt: skip
def test_a_repository_does_not_choose_what_judges_it(regreen: Run, shop: Path, line: str) -> None:
    (shop / "pyproject.toml").write_text(f"[tool.regreen]\n{line}\n")
    ended = regreen("fix", cwd=shop)
    assert (ended.code, "can't choose what judges it" in ended.line) == (2, True)
    tried = ("fix", "--sandbox", "local", "--candidates", "0")
    name = f"REGREEN_{line.split(' ')[0].upper()}"
    allowed = regreen(*tried, cwd=shop, env={name: "0" if "allow" in line else "own"})
    assert "can't choose" not in allowed.err
    if "allow" in line:  # who says the same has said so
        same = regreen(*tried, cwd=shop, env={name: "1"})
        assert "can't choose" not in same.err
        same = regreen(*tried, "--allow-reduced-isolation", cwd=shop)
        assert "can't choose" not in same.err


def test_a_table_of_addresses_is_looked_at_entry_by_entry(regreen: Run, shop: Path) -> None:
    (shop / "pyproject.toml").write_text(
        '[tool.regreen]\nmodel = "openai/x"\n'
        '[tool.regreen.base_urls]\n"openai/x" = "http://example.invalid/v1"\n'
    )
    keyed = {"OPENAI_API_KEY": "secret-key"}
    other = regreen(
        "fix", cwd=shop, env=keyed | {"REGREEN_BASE_URLS": '{"openai/y": "http://127.0.0.1:9"}'}
    )
    assert (other.code, "no key is sent there" in other.line) == (2, True)
    own = regreen(
        "fix",
        "--candidates",
        "0",
        cwd=shop,
        env=keyed | {"REGREEN_BASE_URLS": '{"openai/x": "http://127.0.0.1:9"}'},
    )
    assert "no key is sent there" not in own.err


def test_words_that_make_no_sense(regreen: Run, shop: Path) -> None:
    wrong = regreen("fix", shop, "--model", "openai/x", "--strategy", "grow")
    assert (wrong.code, "choose from beam" in wrong.line) == (2, True)
    alone = regreen("fix", shop, "--resume", "last")
    assert (alone.code, "no --model is set" in alone.line) == (2, True)


def test_a_server_that_fails_is_no_verdict_and_loses_nothing_that_was_found(
    regreen: Run, shop: Path, server: Any, say: Callable[[str], Any]
) -> None:
    words = ("fix", shop, *server.words, "--candidates", "0", "--concurrency", "1", "--json")
    server.answer = lambda _request: (401, {}, b"{}")
    ended = regreen(*words)
    assert ended.code == 2, ended.err
    assert "401" in ended.line or "key" in ended.line
    server.requests.clear()
    server.answer = lambda _request: say(RIGHT) if len(server.requests) == 1 else (401, {}, b"{}")
    late = regreen(*words)
    assert (late.code, late.rows[0]["origin"]) == (0, "model"), late.err
    assert late.rows[0]["answers"]["received"] == 1
