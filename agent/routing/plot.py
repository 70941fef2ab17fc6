"""An accuracy-cost curve as an SVG picture, written by hand: no library is needed to look at it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from agent.routing.profile import Point

_WIDTH, _HEIGHT = 720, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 50, 60
_COLOURS = {"best of": "#1f77b4", "given up": "#d62728"}
_TICKS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000)


def as_svg(points: Sequence[Point], title: str) -> str:
    """Draws a task on a logarithmic axis, solve rate upwards; the ways to spend as two lines.

    Args:
        points: of the curve; those that begin alike make a line.
        title: above the picture.

    Raises:
        ValueError: there are no points.
    """
    if not points:
        raise ValueError("a curve without points can't be drawn")
    most = max(2.0, max(point.draws for point in points))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="28" font-size="15">{escape(title)}</text>',
        *_axes(most),
    ]
    for number, (start, colour) in enumerate(_COLOURS.items()):
        line = sorted((one for one in points if one.name.startswith(start)), key=_by_draws)
        parts += _line(line, colour, most)
        x, y = _LEFT + 12, _TOP + 16 + 18 * number
        parts.append(f'<text x="{x}" y="{y}" fill="{colour}">{_legend(start)}</text>')
    return "\n".join((*parts, "</svg>\n"))


def _axes(most: float) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for tick in _TICKS:
        if tick <= most:
            x = _x(tick, most)
            parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="#eee"/>')
            parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick}</text>')
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#eee"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10 * tenth} %</text>'
        )
    middle = (_LEFT + right) / 2
    parts.append(f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" stroke="black" fill="none"/>')
    parts.append(
        f'<text x="{middle:.0f}" y="{bottom + 42}" text-anchor="middle">samples a task</text>'
    )
    return parts


def _line(points: Sequence[Point], colour: str, most: float) -> list[str]:
    places = [(_x(point.draws, most), _y(point.solved)) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">'
            f"<title>{escape(point.name)}: {point.solved:.1%} at {point.draws:.1f}</title></circle>"
            for (x, y), point in zip(places, points, strict=True)
        ),
    ]


def _by_draws(point: Point) -> float:
    return point.draws


def _legend(start: str) -> str:
    return {"best of": "best of N that stops", "given up": "routed"}[start]


def _x(draws: float, most: float) -> float:
    share = math.log(max(1.0, draws)) / math.log(most)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(solved: float) -> float:
    return _HEIGHT - _BOTTOM - solved * (_HEIGHT - _TOP - _BOTTOM)
