"""Growth is told from noise and from a change of servers, and real memory is sampled."""

from __future__ import annotations

import pytest

from bench.memory import measure, slope
from bench.peers import PeerError, all_peers
from bench.programs import canonical

NOISE = (0.3, -0.2, 0.1, -0.4, 0.2, -0.1, 0.4, -0.3)


def test_a_leak_is_found_at_its_size() -> None:
    found = slope([(1000.0 * n, 50 + 2 * n + noise, "") for n, noise in enumerate(NOISE)])
    assert found is not None
    assert 19 < found.value < 21  # MiB for 10,000 candidates
    assert 0 < found.low < found.value < found.high


def test_noise_is_no_leak() -> None:
    found = slope([(1000.0 * n, 50 + noise, "") for n, noise in enumerate(NOISE)])
    assert found is not None
    assert found.low < 0 < found.high


def test_a_leak_shows_through_a_change_of_servers() -> None:
    points = [(1000.0 * n, 20 + n % 4 + NOISE[n], str(n // 4)) for n in range(8)]
    over_all = slope([(done, mib, "") for done, mib, _ in points])
    within = slope(points)
    assert over_all is not None
    assert within is not None
    assert over_all.low < 0
    assert within.low > 5


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(0.0, 1.0, ""), (1000.0, 2.0, "")],
        [(1000.0 * n, 1.0 * n, str(n)) for n in range(9)],
        [(1000.0, 1.0 * n, "") for n in range(9)],
    ],
    ids=["nothing", "two points", "servers seen once", "one moment"],
)
def test_what_says_nothing_has_no_slope(points: list[tuple[float, float, str]]) -> None:
    assert slope(points) is None


@pytest.mark.parametrize("name", ["local", pytest.param("docker", marks=pytest.mark.docker)])
def test_memory_of_controller_and_servers_is_sampled(name: str) -> None:
    peer = next(peer for peer in all_peers() if peer.name == name)
    if reason := peer.missing():
        pytest.skip(reason)
    said: list[str] = []
    found = measure(name, canonical()[:3], count=32, every=8, workers=2, report=said.append)
    assert [sample.done for sample in found.samples] == [0, 8, 16, 24, 32]
    assert len(said) == 5
    assert found.failed == 0
    # an interpreter has megabytes, and there are at least two servers
    assert all(sample.controller > 10 for sample in found.samples)
    assert all(sample.guests > 10 for sample in found.samples)
    assert len({sample.cell for sample in found.samples}) == 1
    assert found.samples[0].cell != ""
    assert found.controller is not None
    assert found.guests is not None


def test_a_sandbox_that_is_none_is_the_peers_error() -> None:
    with pytest.raises(PeerError, match="unknown sandbox 'none'"):
        measure("none", canonical()[:1], count=1, every=1, workers=1, report=lambda line: None)
