"""A property runs on both sides of the boundary, as often, on the same Python and Hypothesis."""

from __future__ import annotations

import pytest

from bench import properties
from bench.peers import PeerError, all_peers
from bench.results import PropertyRates, Results
from bench.tables import text


def measure(name: str, repeats: int = 1) -> dict[str, PropertyRates]:
    peer = next(peer for peer in all_peers() if peer.name == name)
    if reason := peer.missing():
        pytest.skip(reason)
    return properties.measure(name, examples=40, repeats=repeats, report=lambda line: None)


@pytest.mark.parametrize(
    ("name", "repeats"), [("local", 2), pytest.param("docker", 1, marks=pytest.mark.docker)]
)
def test_both_sides_run_the_same_examples(name: str, repeats: int) -> None:
    found = measure(name, repeats=repeats)
    assert len(found) == 2
    for rates in found.values():
        assert rates.examples == 40
        assert len(rates.ratios()) == repeats
        assert all(rate > 0 for rate in (*rates.boundary, *rates.plain))
        assert all(spent > 0 for spent in (*rates.boundary_cpu, *rates.plain_cpu))
    results = Results(machine={}, settings={}, properties={name: found})
    assert "40 examples a side" in text(results, {name: name})


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("solve(value) == value", "one plain process: AssertionError: the property does not hold"),
        # true only of a function that is really there, so the other side is behind the boundary
        ("solve(value) and hasattr(solve, '__code__')", "the property test was failed"),
    ],
)
def test_a_property_that_does_not_hold_has_no_rate(
    claim: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "def solve(n):\n    return abs(n) + 1\n"
    monkeypatch.setattr(properties, "_PROPERTIES", {"": (program, "strategies.integers()", claim)})
    with pytest.raises(PeerError, match=said):
        measure("local")
