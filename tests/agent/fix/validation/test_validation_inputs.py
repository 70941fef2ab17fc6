"""Inputs made around recorded ones, small edits of a patch, and which functions are watched."""

from __future__ import annotations

import ast
import json
from typing import Any

from agent.fix.validation.difference import FunctionNode
from agent.fix.validation.encoded import is_given, to_value
from agent.fix.validation.inputs import Input, Origin, make_inputs
from agent.fix.validation.inside.values import Encoder
from agent.fix.validation.neighbours import neighbours, size
from agent.fix.validation.watching import functions_to_watch
from verifiers.repository import File, Snapshot

CART = """
def total(prices: list[int], start: int = 0) -> int:
    result = start
    for price in prices:
        result += price
    return result

def shown(prices):
    return str(total(prices))

class Cart:
    def sum(self):
        return total(self.prices)

def other():
    return 1
"""
SNAPSHOT = Snapshot(files={"cart.py": File(content=CART.encode())})
PATCH = {"cart.py": CART.replace("result += price", "result += price + 1")}


def given(*arguments: Any, **named: Any) -> Any:
    return json.loads(json.dumps(Encoder(exact=True).encode([list(arguments), named])))


def node_of(name: str) -> FunctionNode:
    found = next(one for one in ast.parse(CART).body if getattr(one, "name", "") == name)
    assert isinstance(found, FunctionNode)
    return found


def values(found: tuple[Input, ...], origin: Origin) -> list[Any]:
    return [to_value(one.given) for one in found if one.origin is origin]


def test_inputs_of_all_origins_each_once_and_the_same_each_time() -> None:
    passing, failing = [given([1, 2], 3), given([], 0)], [given([7, 7], 1)]
    found = make_inputs("cart:total", passing, failing, node_of("total"))
    assert found == make_inputs("cart:total", passing, failing, node_of("total"))
    assert values(found, Origin.FAILING) == [[[[7, 7], 1], {}]]
    assert values(found, Origin.PASSING) == [[[[1, 2], 3], {}], [[[], 0], {}]]
    texts = [json.dumps(one.given) for one in found]
    assert len(set(texts)) == len(texts)
    for origin in (Origin.NEAR, Origin.AROUND, Origin.FRESH):
        some = values(found, origin)
        assert len(some) >= 20, origin
        for (prices, start), _ in some:
            assert isinstance(prices, list)
            assert type(start) is int
    assert found[0].text == "total([7, 7], 1)"


class Cart:
    def __init__(self, prices: list[int]) -> None:
        self.prices = prices


def test_an_object_is_changed_in_what_it_holds() -> None:
    found = make_inputs("cart:Cart.sum", [], [given(Cart([1, 2]), key="a")], None)
    states = {json.dumps(one.given[1][0][1][0][3]) for one in found if one.origin is Origin.NEAR}
    assert len(states) > 5
    assert all('"prices"' in state for state in states)
    assert found[0].text == "Cart.sum(<Cart>, key='a')"
    assert make_inputs("cart:Cart.sum", [], [], None) == ()


def test_recordings_are_claims_and_may_say_anything() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = ["l", [deep]]
    pair = ["l", [["l", []], ["d", []]]]
    assert is_given(pair)
    claims: tuple[Any, ...] = (
        None, 1, [], [[]], ["l"], ["l", 3], ["o"], ["l", [["l", []]]], ["l", [["l", 1], ["d", []]]],
        ["l", [["l", [deep]], ["d", []]]], ["l", [["l", ["x" * 9000]], ["d", []]]],
        ["l", [["l", []], ["d", [[1, 2]]]]], ["l", [["l", []], ["d", [[["l", []], 2]]]]],
        ["d", []], ["l", [["d", []], ["l", []]]], {"l": 1},
    )  # fmt: skip
    for forged in claims:
        assert not is_given(forged), str(forged)[:60]
    odd: list[Any] = [
        ["i", "0x" + "f" * 3000],
        ["f", "inf"],
        ["f", "nan"],
        ["k", "no", "no"],
        ["o", 1, 2],
        ["o", 1, 2, [3]],
        [],
    ]
    for value in odd:
        row = ["l", [["l", [value]], ["d", []]]]
        if is_given(row):
            for one in make_inputs("m:f", [row], [row], None):
                assert one.text.startswith("f(")


def test_changed_functions_and_those_that_call_them_are_watched() -> None:
    found = functions_to_watch(SNAPSHOT, [PATCH], ["cart.py"])
    assert {(one.name, one.changed) for one in found} == {
        ("total", True), ("shown", False), ("Cart.sum", False),
    }  # fmt: skip
    outside = {"cart.py": CART + "\nLIMIT = 3\n"}
    assert functions_to_watch(SNAPSHOT, [outside], ["cart.py"]) == ()
    using = SNAPSHOT.changed({"cart.py": f"LIMIT = 2\n{CART.replace('return 1', 'return LIMIT')}"})
    changed = {"cart.py": (using.text("cart.py") or "").replace("LIMIT = 2", "LIMIT = 3")}
    assert [one.name for one in functions_to_watch(using, [changed], ["cart.py"])] == ["other"]


def test_small_edits_are_of_the_changed_function_and_each_another_program() -> None:
    found = neighbours(SNAPSHOT, PATCH, count=15)
    assert found == neighbours(SNAPSHOT, PATCH, count=15)
    assert len({str(one) for one in found}) == len(found) == 15
    for one in found:
        tree = ast.parse(one["cart.py"] or "")
        assert [ast.dump(node) for node in tree.body[1:]] == [
            ast.dump(node) for node in ast.parse(CART).body[1:]
        ]
        assert ast.dump(tree) not in (
            ast.dump(ast.parse(CART)),
            ast.dump(ast.parse(PATCH["cart.py"])),
        )


def test_the_size_of_a_patch() -> None:
    assert size(SNAPSHOT, {"cart.py": CART + "\n# a remark\n"}) == 0
    longer = PATCH["cart.py"].replace("return result", "return result * 2 + start")
    assert 0 < size(SNAPSHOT, PATCH) < size(SNAPSHOT, {"cart.py": longer})
