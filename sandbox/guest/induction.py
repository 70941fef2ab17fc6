"""Shows by induction that a `while` loop goes on for ever, though its state never comes again.

`while n != 1: n -= 2`, begun at 0, has another n in every pass, and never ends. So the loop's body
is gone through once more here, as text, first with what its variables are now, then with what they
are k passes later if each goes on to grow as it just did: see `affine`. If every condition comes
out the same for all k, and the body leaves what the next pass is said to find, then all passes are
alike, and none is the last.

What isn't understood here is not shown: objects, generators, anything with an effect. So is a loop
that collects more and more in a program that catches errors, which could go on when the memory is
full.
"""

from __future__ import annotations

import ast
import builtins
import math
import time
import types
from collections.abc import Iterable, Iterator
from typing import Any

from . import affine
from .affine import Affine, Follower, Frozen, Items, Pairing, Unknown, Unsettled

_MOST_STEPS = 4_000
_LOOKS = 32
"""Steps between two looks at the clock."""
_DEEPEST_CALL = 6
_ATTEMPTS = 4
"""Each with fewer variables that are said to grow evenly."""
_OPTIMIZED, _GENERATORS = 0x1, 0x20 | 0x80 | 0x200
"""Flags of code: that of a function; that of generators and coroutines."""
_PASSES = (1, 2, 3, 4, 6)
"""How many passes may make up one that is like the next."""
_CATCHING = (ast.Try, ast.TryStar, ast.With, ast.AsyncWith)
_PURE = (
    *(bin, bool, chr, divmod, float, hex, int, oct, ord, round, str),
    *(math.ceil, math.fabs, math.floor, math.gcd, math.isqrt, math.log, math.log10, math.log2),
    *(math.sqrt, math.trunc),
)
"""Functions that are done as Python does them, on constants, and that take no time."""
_OF_ONE = (abs, all, any, int, len, list, sorted, sum, tuple)
"""Functions of one argument that may be other than constant."""
_CONSUMING = (list, max, min, sorted, sum, tuple)
"""Functions that go through all of a generator."""
_TEXT = frozenset(
    {"count", "endswith", "find", "index", "isalnum", "isalpha", "isdigit", "islower", "isnumeric"}
    | {"isspace", "isupper", "join", "lower", "lstrip", "removeprefix", "removesuffix", "replace"}
    | {"rfind", "rstrip", "split", "startswith", "strip", "swapcase", "title", "upper"}
)
"""Methods of texts that make nothing much longer than what they get."""
_BREAK, _CONTINUE, _RETURN = "break", "continue", "return"

State = dict[str, Any]


class Program:
    """What loops are looked up in.

    Args:
        source: of the program.
        filename: that its code objects have.
    """

    def __init__(self, source: str, filename: str) -> None:
        self.tree = ast.parse(source)
        self.filename = filename
        nodes = list(ast.walk(self.tree))
        self.catches = any(isinstance(node, _CATCHING) for node in nodes)
        self.functions = {
            (node.name, node.lineno): node for node in nodes if isinstance(node, ast.FunctionDef)
        }
        self._loops = [node for node in nodes if isinstance(node, ast.While)]

    def loop_at(self, line: int | None, column: int | None) -> ast.While | None:
        """The innermost `while` loop around a place, if that is where it goes on.

        Args:
            line: from 1.
            column: in bytes of UTF-8, from 0.
        """
        if line is None or column is None:
            return None
        here = (line, column)
        around = [loop for loop in self._loops if _start(loop.test) <= here < _end(loop.body[-1])]
        innermost = max(around, key=_start, default=None)
        return innermost if innermost is not None and _goes_on_at(here, innermost) else None


def _start(node: ast.expr | ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr | ast.stmt) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


def _goes_on_at(here: tuple[int, int], loop: ast.While) -> bool:
    """Whether a place is in the condition or the first statement."""
    return any(_start(part) <= here < _end(part) for part in (loop.test, loop.body[0]))


def foretell(
    program: Program, loop: ast.While, frame: types.FrameType, until: float = math.inf
) -> tuple[int, State] | None:
    """Shows that a loop goes on for ever, if it can.

    Args:
        program: that the loop is in.
        loop: one whose condition, or the first statement of its body, is next in `frame`.
        frame: of a function.
        until: cpu time of this process at which there is no more of it for this.

    Returns:
        If it is shown, a number of passes, and what the variables will be after them.
    """
    code = frame.f_code
    if not code.co_flags & _OPTIMIZED:
        return None
    own = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
    try:
        follower = Follower()
        now = {name: follower.follow(value) for name, value in frame.f_locals.items()}
        reader = _Reader(program, frame.f_globals, own, until)
        later = _copied(now)
        done = 0
        for passes in _PASSES:
            while done < passes:
                reader.go_through(loop, later)
                done += 1
            if _is_alike(reader, loop, now, later, passes):
                return passes, later
    except Exception:  # whatever the program would do here, it wasn't understood
        return None
    return None


def _is_alike(reader: _Reader, loop: ast.While, now: State, later: State, passes: int) -> bool:
    """Whether from now on every so many passes are like the first, which led to `later`."""
    pairing = Pairing()
    always = {name: pairing.lift(now[name], later[name]) for name in now}
    for _ in range(_ATTEMPTS):
        then = _copied(always)
        try:
            for _ in range(passes):
                reader.go_through(loop, then)
        except Unsettled:
            return False
        pairing = Pairing()
        others = [name for name in always if not pairing.follows(always[name], then[name])]
        if not others:
            return True
        for name in others:
            kind = affine.kind(always[name])
            always[name] = Unknown(kind if kind == affine.kind(then[name]) != "list" else "")
    return False


def is_foretold(state: State, frame: types.FrameType) -> bool:
    """Whether the variables of a frame are what was foretold."""
    pairing, follower = Pairing(), Follower()
    try:
        return all(
            type(value) is Unknown or pairing.follows(value, follower.follow(frame.f_locals[name]))
            for name, value in state.items()
        )
    except (KeyError, Unsettled):
        return False


def _copied(state: State) -> State:
    met: dict[int, Any] = {}
    return {name: affine.copy(value, met) for name, value in state.items()}


class _Reader:
    """Goes through a program's text with values that may stand for many.

    Whatever it raises means that the text, or what it does, wasn't understood.
    """

    def __init__(
        self, program: Program, module: dict[str, Any], own: set[str], until: float
    ) -> None:
        self._program = program
        self._module = module
        self._own = own
        self._until = until
        self._steps = 0
        self._depth = 0
        self._result: Any = None

    def go_through(self, loop: ast.While, state: State) -> None:
        """One pass, which changes the state.

        Raises:
            Unsettled: or any other, if it isn't shown that there is a whole one.
        """
        self._steps = 0
        if not affine.is_true(self._value(loop.test, state)):
            raise StopIteration
        if self._all(loop.body, state) in (_BREAK, _RETURN):
            raise StopIteration

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS or (
            self._steps % _LOOKS == 0 and time.process_time() > self._until
        ):
            raise OverflowError

    # ----------------------------------------------------------------------------- statements

    def _all(self, body: list[ast.stmt], state: State) -> str:
        for statement in body:
            self._count()
            how = self._one(statement, state)
            if how:
                return how
        return ""

    def _one(self, statement: ast.stmt, state: State) -> str:
        match statement:
            case ast.Pass():
                return ""
            case ast.Expr(value=value):
                self._value(value, state)
            case ast.Assign(targets=targets, value=value):
                found = self._value(value, state)
                for target in targets:
                    self._assign(target, found, state)
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                self._assign(target, self._value(value, state), state)
            case ast.AugAssign(target=target, op=operation, value=value):
                self._change(target, operation, value, state)
            case ast.If(test=test, body=body, orelse=otherwise):
                is_so = affine.is_true(self._value(test, state))
                return self._all(body if is_so else otherwise, state)
            case ast.While():
                return self._while(statement, state)
            case ast.For(orelse=[]):
                return self._for(statement, state)
            case ast.Break():
                return _BREAK
            case ast.Continue():
                return _CONTINUE
            case ast.Return(value=value):
                self._result = None if value is None else self._value(value, state)
                return _RETURN
            case _:
                raise Unsettled
        return ""

    def _while(self, loop: ast.While, state: State) -> str:
        while affine.is_true(self._value(loop.test, state)):
            self._count()
            how = self._all(loop.body, state)
            if how == _RETURN:
                return how
            if how == _BREAK:
                return ""
        return self._all(loop.orelse, state)

    def _for(self, loop: ast.For, state: State) -> str:
        for item in self._each(loop.iter, state):
            self._count()
            self._assign(loop.target, item, state)
            how = self._all(loop.body, state)
            if how == _RETURN:
                return how
            if how == _BREAK:
                break
        return ""

    def _each(self, node: ast.expr, state: State) -> Iterable[Any]:
        """What a for loop goes through."""
        match node:
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name not in state:
                function = self._name(name, state)
                if function is enumerate and len(arguments) == 1:
                    return enumerate(self._each(arguments[0], state))
                if function is zip:
                    return zip(*[self._each(one, state) for one in arguments], strict=False)
        return _items(self._value(node, state))

    def _assign(self, target: ast.expr, value: Any, state: State) -> None:
        match target:
            case ast.Name(id=name) if name in self._own:
                state[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = list(_items(value))
                if len(values) != len(parts):
                    raise Unsettled
                for part, one in zip(parts, values, strict=True):
                    self._assign(part, one, state)
            case ast.Subscript(value=owner, slice=index):
                found = self._value(owner, state)
                if type(found) is not Items:
                    raise Unsettled
                found.values[_integer(self._value(index, state))] = value
            case _:
                raise Unsettled

    def _change(
        self, target: ast.expr, operation: ast.operator, value: ast.expr, state: State
    ) -> None:
        if any(isinstance(node, ast.Call) for node in ast.walk(target)):
            raise Unsettled  # it would be made twice
        before = self._value(target, state)
        if type(before) in (Items, Frozen):  # which is changed in its place
            raise Unsettled
        added = self._value(value, state)
        self._assign(target, affine.combine(type(operation).__name__, before, added), state)

    # ----------------------------------------------------------------------------- expressions

    def _value(self, node: ast.expr, state: State) -> Any:
        self._count()
        match node:
            case ast.Constant(value=value) if type(value) in affine.CONSTANTS:
                return value
            case ast.Name(id=name):
                return self._name(name, state)
            case ast.BinOp(left=left, op=operation, right=right):
                one, other = self._value(left, state), self._value(right, state)
                return affine.combine(type(operation).__name__, one, other)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not affine.is_true(self._value(operand, state))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return affine.negative(self._value(operand, state))
            case ast.BoolOp(op=operation, values=values):
                return self._either(values, isinstance(operation, ast.Or), state)
            case ast.Compare():
                return self._compare(node, state)
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                is_so = affine.is_true(self._value(test, state))
                return self._value(body if is_so else otherwise, state)
            case ast.Subscript(value=owner, slice=index):
                return self._subscript(self._value(owner, state), index, state)
            case ast.Tuple(elts=parts):
                return tuple([self._value(part, state) for part in parts])
            case ast.List(elts=parts):
                return Items([self._value(part, state) for part in parts])
            case ast.Attribute(value=owner, attr=name) if self._is_math(owner, state):
                return _constant(getattr(math, name))
            case ast.ListComp():
                return Items(list(self._comprehension(node, state)))
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self._call(function, arguments, state)
        raise Unsettled

    def _name(self, name: str, state: State) -> Any:
        if name in state:
            return state[name]
        if name in self._own:
            raise Unsettled
        if name not in self._module:
            return getattr(builtins, name)
        value = self._module[name]
        if type(value) in affine.CONSTANTS:
            return Follower().follow(value)
        if isinstance(value, list | tuple | dict | set | frozenset):
            raise Unsettled  # it would have to be followed from pass to pass
        return value

    def _either(self, values: list[ast.expr], is_or: bool, state: State) -> Any:
        for part in values[:-1]:
            found = self._value(part, state)
            if affine.is_true(found) is is_or:
                return found
        return self._value(values[-1], state)

    def _compare(self, node: ast.Compare, state: State) -> bool:
        one = self._value(node.left, state)
        for operation, part in zip(node.ops, node.comparators, strict=True):
            other = self._value(part, state)
            if not _compared(operation, one, other):
                return False
            one = other
        return True

    def _subscript(self, owner: Any, index: ast.expr, state: State) -> Any:
        if type(owner) not in (Frozen, Items, tuple, str, range):
            raise Unsettled
        values = owner.values if type(owner) is Items else owner
        if isinstance(index, ast.Slice):
            found = values[self._slice(index, len(values), state)]
            return Items(found) if type(owner) is Items else found
        at = self._value(index, state)
        if type(owner) is Frozen:
            return owner.value[affine.plain(at)]
        return values[_integer(at)]

    def _slice(self, node: ast.Slice, length: int, state: State) -> slice:
        lower, upper = (
            None if part is None else affine.bound(self._value(part, state), length)
            for part in (node.lower, node.upper)
        )
        step = None if node.step is None else affine.plain(self._value(node.step, state))
        if step is not None and step < 1:
            raise Unsettled
        return slice(lower, upper, step)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp, state: State) -> Iterator[Any]:
        match node.generators:
            case [ast.comprehension(target=ast.Name(id=name), iter=among, ifs=tests, is_async=0)]:
                own = self._own | {name}
                inner = _Reader(self._program, self._module, own, self._until)
                inner._steps, inner._depth = self._steps, self._depth
                for item in self._each(among, state):
                    scope = {**state, name: item}
                    if all(affine.is_true(inner._value(test, scope)) for test in tests):
                        yield inner._value(node.elt, scope)
                self._steps = inner._steps
            case _:
                raise Unsettled

    # ----------------------------------------------------------------------------- calls

    def _call(self, node: ast.expr, arguments: list[ast.expr], state: State) -> Any:
        if isinstance(node, ast.Name):
            function = self._name(node.id, state)
            match arguments:
                case [ast.GeneratorExp() as inner]:
                    return self._consume(function, self._comprehension(inner, state))
            return self._call_value(function, self._arguments(arguments, state))
        if not isinstance(node, ast.Attribute):
            raise Unsettled
        if self._is_math(node.value, state):
            function = getattr(math, node.attr)
            return self._call_value(function, self._arguments(arguments, state))
        owner = self._value(node.value, state)
        return self._method(owner, node.attr, self._arguments(arguments, state))

    def _arguments(self, nodes: list[ast.expr], state: State) -> list[Any]:
        return [self._value(node, state) for node in nodes]

    def _consume(self, function: Any, items: Iterator[Any]) -> Any:
        """What a function makes of a generator, which it goes through no further than it has to."""
        if function is any or function is all:
            return any(affine.is_true(item) is (function is any) for item in items) is (
                function is any
            )
        if any(function is one for one in _CONSUMING):
            return self._call_value(function, [Items(list(items))])
        raise Unsettled

    def _is_math(self, node: ast.expr, state: State) -> bool:
        return (
            isinstance(node, ast.Name)
            and node.id not in self._own
            and self._module.get(node.id) is math
        )

    def _method(self, owner: Any, name: str, arguments: list[Any]) -> Any:
        if type(owner) is Unknown and owner.kind == "list" and name == "append":
            if self._program.catches:
                raise Unsettled
            return None
        if type(owner) is Items:
            return _method_of_list(owner, name, arguments)
        if type(owner) is str and name in _TEXT:
            given = [affine.plain(argument) for argument in arguments]
            return Follower().follow(getattr(owner, name)(*given))
        if type(owner) is Frozen and name == "get" and type(owner.value) is dict:
            return _constant(owner.value.get(*[affine.plain(argument) for argument in arguments]))
        raise Unsettled

    def _call_value(self, function: Any, arguments: list[Any]) -> Any:
        if isinstance(function, types.FunctionType):
            return self._call_own(function, arguments)
        if function is range:
            return _range(arguments)
        if function is min or function is max:
            return _extreme(function, arguments)
        if any(function is one for one in _OF_ONE) and len(arguments) == 1:
            return _of_one(function, arguments[0])
        if any(function is one for one in _PURE):
            found = function(*[_constant(argument) for argument in arguments])
            return found if type(found) is tuple else _constant(found)  # divmod's
        raise Unsettled

    def _call_own(self, function: types.FunctionType, arguments: list[Any]) -> Any:
        code = function.__code__
        node = self._program.functions.get((code.co_name, code.co_firstlineno))
        plain = (
            node is not None
            and code.co_filename == self._program.filename
            and function.__globals__ is self._module
            and not code.co_freevars
            and not code.co_cellvars
            and not code.co_flags & _GENERATORS
            and not node.decorator_list
            and not any(isinstance(one, ast.Global) for one in ast.walk(node))
            and len(arguments) == code.co_argcount == len(node.args.args)
            and not (node.args.vararg or node.args.kwarg or node.args.kwonlyargs)
        )
        if node is None or not plain or self._depth >= _DEEPEST_CALL:
            raise Unsettled
        own = set(code.co_varnames)
        inner = _Reader(self._program, self._module, own, self._until)
        inner._steps, inner._depth = self._steps, self._depth + 1
        names = code.co_varnames[: code.co_argcount]
        how = inner._all(node.body, dict(zip(names, arguments, strict=True)))
        self._steps = inner._steps
        return inner._result if how == _RETURN else None


def _items(value: Any) -> Iterable[Any]:
    """What a loop over it goes through.

    Raises:
        Unsettled: that isn't known.
    """
    if type(value) is Items:
        return _of_list(value)
    if type(value) is Frozen:
        return value.value  # type: ignore[no-any-return]
    if type(value) in (tuple, str, range):
        return value  # type: ignore[no-any-return]
    raise Unsettled


def _of_list(value: Items) -> Iterator[Any]:
    """As Python goes through a list: one that grows meanwhile has more."""
    at = 0
    while at < len(value.values):
        yield value.values[at]
        at += 1


def _sized(value: Any) -> list[Any]:
    """The items of something that isn't too long to go through in one step."""
    if type(value) is range and len(value) > _MOST_STEPS:
        raise OverflowError
    return list(_items(value))


def _constant(value: Any) -> Any:
    if type(value) in affine.CONSTANTS and type(value) is not range:
        return Follower().follow(value)
    raise Unsettled


def _integer(value: Any) -> int:
    if type(value) in (int, bool):
        return int(value)
    raise Unsettled


def _compared(operation: ast.cmpop, one: Any, other: Any) -> bool:
    match operation:
        case ast.Eq():
            return affine.equals(one, other)
        case ast.NotEq():
            return not affine.equals(one, other)
        case ast.Lt():
            return affine.is_less(one, other)
        case ast.Gt():
            return affine.is_less(other, one)
        case ast.LtE():
            return affine.is_at_most(one, other)
        case ast.GtE():
            return affine.is_at_most(other, one)
        case ast.In():
            return affine.is_in(one, other)
        case ast.NotIn():
            return not affine.is_in(one, other)
        case ast.Is() | ast.IsNot() if other is None and type(one) is not Unknown:
            return (one is None) is isinstance(operation, ast.Is)
    raise Unsettled


def _extreme(function: Any, arguments: list[Any]) -> Any:
    """What `min` or `max` gives: the first of those that are as good."""
    first, *others = _sized(arguments[0]) if len(arguments) == 1 else arguments
    for value in others:
        if affine.is_less(value, first) if function is min else affine.is_less(first, value):
            first = value
    return first


def _of_one(function: Any, value: Any) -> Any:
    if function is int:
        return value if type(value) is Affine else _constant(int(_constant(value)))
    if function is abs:
        if type(value) is Affine:
            return affine.negative(value) if affine.is_less(value, 0) else value
        return _constant(abs(_constant(value)))
    if function is len:
        return len(value) if type(value) in (str, range) else len(_sized(value))
    items = _sized(value)
    if function is sum:
        return affine.total(items)
    if function in (all, any):
        return function([affine.is_true(item) for item in items])
    if function is sorted:
        return Items(sorted(map(_constant, items)))
    return Items(items) if function is list else tuple(items)


def _range(arguments: list[Any]) -> range:
    if Affine in map(type, arguments):
        start, stop = (0, *arguments) if len(arguments) == 1 else arguments
        if not affine.is_less(start, stop):
            return range(0)
    return range(*[affine.plain(argument) for argument in arguments])


def _method_of_list(owner: Items, name: str, arguments: list[Any]) -> Any:
    match name, arguments:
        case "append", [value]:
            owner.values.append(value)
            return None
        case "pop", []:
            return owner.values.pop()
        case "pop", [at]:
            return owner.values.pop(_integer(at))
        case "copy", []:
            return Items(list(owner.values))
        case "reverse", []:
            owner.values.reverse()
            return None
        case "count" | "index", [value]:
            return getattr(affine.plain(owner), name)(affine.plain(value))
    raise Unsettled
