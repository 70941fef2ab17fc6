"""What runs in the suite's process: values as text, calls noted, functions called."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import json
import math
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agent.fix.validation.encoded import to_data, to_value
from agent.fix.validation.inside import recorder
from agent.fix.validation.inside.driver import Driver
from agent.fix.validation.inside.parts import packed, unpacked
from agent.fix.validation.inside.values import Encoder, StrangeError, decode


class Node:
    def __init__(self, value: int, after: Node | None = None) -> None:
        self.value, self.after = value, after


class Slotted:
    __slots__ = ("x",)
    x: list[int]


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: list[int]


class Colour(enum.Enum):
    RED = 1


Pair = collections.namedtuple("Pair", "one two")

BUILTIN: list[Any] = [
    None, True, 0, -(10**30), 2.5, math.inf, "x", "\ud800", b"\xff", 1j, [1, (2, [])], {1, 2},
    frozenset({(1, 2)}), {(1, "a"): {"b": None}}, [[]], (),
]  # fmt: skip
OTHER = [
    Point(1, [2]), Pair(1, 2), Colour.RED, len, Node, decimal.Decimal("1.50"),
    datetime.datetime(2020, 1, 2, 3), datetime.timedelta(1, 2, 3), collections.Counter("aab"),
    collections.deque([1]),
]  # fmt: skip


def text_of(value: Any, *, exact: bool = True) -> Any:
    return json.loads(json.dumps(Encoder(exact=exact).encode(value)))


@pytest.mark.parametrize("value", [*BUILTIN, *OTHER], ids=repr)
def test_values_come_back_as_they_were(value: Any) -> None:
    back = decode(text_of(value))
    assert (type(back), back) == (type(value), value)


@pytest.mark.parametrize("value", BUILTIN, ids=repr)
def test_the_controller_reads_and_writes_builtin_values_alike(value: Any) -> None:
    data = text_of(value)
    assert to_value(data) == value
    assert json.loads(json.dumps(to_data(value))) == data


def test_what_is_no_builtin_value_goes_through_the_controller_unread() -> None:
    data = text_of([Node(1), Pair(1, 2)])
    assert to_data(to_value(data)) == data


def test_objects_may_hang_together() -> None:
    node = Node(1)
    node.after = Node(2, node)
    first, second = decode(text_of([node, node.after]))
    assert first.after is second
    assert second.after is first
    slotted = Slotted()
    slotted.x = [1]
    assert decode(text_of(slotted)).x == [1]


@pytest.mark.parametrize(
    "value",
    [iter([]), lambda: 0, {Node(1)}, ValueError(), [0] * 5000, sys.stdout],
    ids=["iterator", "lambda", "objects in a set", "exception", "large", "file"],
)
def test_what_can_not_be_written_down(value: Any) -> None:
    with pytest.raises(StrangeError):
        Encoder(exact=True).encode(value)


def test_results_are_compared_by_what_tests_compare() -> None:
    for one, other, same in [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (0.1 + 0.2, 0.3, True),
        ([1, 2], [2, 1], False),
        (1, "1", False),
    ]:
        assert (text_of(one, exact=False) == text_of(other, exact=False)) is same


def test_pieces_and_what_is_none() -> None:
    assert unpacked(packed({"a": [1, "ü"]})) == {"a": [1, "ü"]}
    assert not set(packed(list(range(3000)))) & set("[]\n /")
    for text in ("", "###", packed(1)[:2]):
        with pytest.raises(ValueError, match=r"."):
            unpacked(text)
    with pytest.raises(ValueError, match="large"):
        unpacked(packed("a" * 10_000), most=1000)


# what the driver is to call


def double(value: Any, *, times: int = 2) -> Any:
    return value * times


def change(values: list[int]) -> None:
    values.append(1)


def count(top: int) -> Iterator[int]:
    yield from range(top)


def raise_it(what: str) -> None:
    raise ValueError(what)


def hang() -> None:
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0)


async def later(value: int) -> int:
    return value + 1


def seen(function: Any, *arguments: Any, **named: Any) -> list[str]:
    label = f"{__name__}:{function.__qualname__}"
    given = text_of([list(arguments), named])
    return Driver([[label, given]]).observe(0, 1)[0]


def test_what_comes_of_calls() -> None:
    assert seen(double, 3) == seen(double, 3, times=2)[:1] + seen(double, 3)[1:]
    assert seen(double, 3)[0::2] == ["value", "6"]
    assert seen(double, 3)[1] != seen(double, 4)[1]
    assert (
        seen(change, [1])[1] != seen(double, None, times=0)[1]
    )  # the argument is other than before
    assert seen(count, 3)[0::2] == ["value", "['iterator', 0, 1, 2]"]
    assert seen(later, 3)[0::2] == ["value", "4"]
    assert seen(raise_it, "no")[0::2] == ["raised", "ValueError: no"]
    assert seen(raise_it, "no")[1] != seen(raise_it, "yes")[1]
    assert seen(hang)[0] == "hang"
    assert Driver([["no.module:f", text_of([[], {}])]]).observe(0, 1)[0][0] == "unready"


def test_after_some_hanging_calls_no_more_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.fix.validation.inside.driver.LOST_SECONDS", 0.1)
    driver = Driver([[f"{__name__}:hang", text_of([[], {}])]] * 3)
    assert [one[0] for one in driver.observe(0, 3)] == ["hang", "lost", "lost"]


class Shop:
    def buy(self, what: str) -> str:
        return self.name(what)

    @staticmethod
    def name(what: str) -> str:
        return what.upper()


def fact(number: int) -> int:
    return number * SPACE["fact"](number - 1) if number > 1 else 1


SPACE: dict[str, Any] = {}


def test_calls_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_calls", [])
    monkeypatch.setattr(recorder, "FAILING", frozenset({"t.py::test_b"}))
    shop = type("Shop", (Shop,), {**vars(Shop)})
    SPACE.update({"__name__": __name__, "fact": fact, "Shop": shop, "raise_it": raise_it})
    recorder.watch(SPACE, ["fact", "Shop.name", "raise_it", "nothing", "Shop.nothing"])
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "t.py::test_a (call)")
    assert SPACE["fact"](4) == 24
    assert SPACE["fact"](4) == 24
    assert shop().buy("tea") == "TEA"
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "t.py::test_b (call)")
    with pytest.raises(ValueError, match="no"):
        SPACE["raise_it"]("no")
    found = [
        (one["function"].partition(":")[2], one["test"], one["fails"], to_value(one["given"]),
         one["end"])
        for one in recorder.told()["calls"]
    ]  # fmt: skip
    assert found == [
        ("fact", "t.py::test_a", False, [[4], {}], ["value", ""]),  # not those from within
        ("Shop.name", "t.py::test_a", False, [["tea"], {}], ["value", ""]),
        ("raise_it", "t.py::test_b", True, [["no"], {}], ["raised", "ValueError"]),
    ]
