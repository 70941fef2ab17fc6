"""What can be done to an object that is on the other side, by the names that both sides use."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable
from typing import Any


def leave(manager: Any, error: BaseException | None) -> Any:
    """Ends a `with` block on the side where its manager is."""
    trace = None if error is None else error.__traceback__
    return type(manager).__exit__(manager, None if error is None else type(error), error, trace)


def leave_async(manager: Any, error: BaseException | None) -> Any:
    """Ends an `async with` block: what is to be awaited."""
    trace = None if error is None else error.__traceback__
    return type(manager).__aexit__(manager, None if error is None else type(error), error, trace)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "contains": operator.contains,
    "len": len,
    "length_hint": operator.length_hint,
    "iter": iter,
    "next": next,
    "reversed": reversed,
    "send": lambda generator, value: generator.send(value),
    "throw": lambda generator, *error: generator.throw(*error),
    "close": lambda generator: generator.close(),
    "bool": bool,
    "str": str,
    "repr": repr,
    "hash": hash,
    "format": format,
    "int": int,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "bytes": bytes,
    "round": round,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
    "dir": dir,
    "isinstance": isinstance,
    "issubclass": issubclass,
    "divmod": divmod,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "enter": lambda manager: type(manager).__enter__(manager),
    "exit": leave,
    "aenter": lambda manager: type(manager).__aenter__(manager),
    "aexit": leave_async,
    "aiter": aiter,
    "anext": lambda iterator: type(iterator).__anext__(iterator),
    "pow": pow,
    **{
        name: getattr(operator, name)
        for name in (
            "eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod",
            "matmul", "and_", "or_", "xor", "lshift", "rshift", "neg", "pos", "abs",
            "invert", "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul",
            "iand", "ior", "ixor", "ilshift", "irshift",
        )
    },
}  # fmt: skip
"""Operation to what does it."""

ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or",
              "xor", "lshift", "rshift", "divmod")  # fmt: skip
"""Binary operators, each with a reflected form."""

CONVERSIONS: dict[str, type | None] = {
    "bool": bool, "int": int, "float": float, "complex": complex, "index": int, "bytes": bytes,
    "abs": None, "round": None, "trunc": None, "floor": None, "ceil": None, "neg": None,
    "pos": None, "invert": None,
}  # fmt: skip
"""Operations that turn an object into a value, and its type where it is certain."""

PLAIN = ("getitem", "setitem", "delitem", "reversed", "enter", "length_hint", "aiter", "anext",
         "aenter")  # fmt: skip
"""Operations of which nothing is known but that they are done on the other side."""

ORDER = ("lt", "le", "gt", "ge")
"""Comparisons by order."""


def word(operation: str) -> str:
    """A binary operator's operation: `and` and `or` are words of the language."""
    return f"{operation}_" if operation in ("and", "or") else operation


DUNDERS = frozenset(
    f"__{name}__"
    for name in (
        *PLAIN, *ORDER, *CONVERSIONS, *ARITHMETIC, *(f"r{name}" for name in ARITHMETIC),
        *(f"i{name}" for name in ARITHMETIC if name != "divmod"),
        "len", "contains", "iter", "next", "call", "exit", "aexit", "hash",
    )
)  # fmt: skip
"""Special methods that a stand-in has only where the object's class has them."""


def special(kind: type) -> list[str]:
    """Those of `DUNDERS` that a class has of its own or from a base."""
    found = []
    for name in sorted(DUNDERS):
        # not by getattr, which would find the metaclass's
        method = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
        if method is not None and (name == "__hash__" or method is not vars(object).get(name)):
            found.append(name)
    return found
