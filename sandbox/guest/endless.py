"""Finds out that a loop will never end, so that nobody waits for the limit of cpu time.

A loop that comes back to a state which it had before goes round in circles for ever. So when a
call takes long, its loops are watched for a moment, opcode by opcode. At the place that a `while`
loop jumps back to, all that the rest of it may depend on is written down: the frame's variables,
the module's, and whatever hangs from them; but not sums that the loop does nothing with but add to.
If the same is met again, the process ends itself by `SIGVTALRM`, which the server reports as a
timeout. It does so, too, where `induction` shows that all passes from here on are alike.

The proof holds only for plain values and for code that does nothing but compute. At the first thing
that isn't known to be so (an object of a class, a file, a clock, an iterator that is kept, an
attribute that is set, another module's code, a second thread) watching ends, and the limit of cpu
time decides as ever. How far a for loop has come can't be seen, so what was met is forgotten when
one around the `while` goes on.

This runs in the candidate's process and is believed no more than the rest of it: a program that
feigns an endless loop has timed out.
"""

from __future__ import annotations

# without the enumerations of `signal`, whose search for a member takes 6 µs a call
import _signal  # type: ignore[import-not-found]
import builtins
import gc
import math
import os
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast
    import dis

    from . import induction

ENDED_BY = signal.SIGVTALRM
"""What a process that goes round in circles ends itself by."""

_ASKED_BEFORE = sys.version_info < (3, 13)
"""Whether a frame's opcodes are asked for before tracing begins, or only heeded after it has."""
_OWN_SIGNALS = frozenset({signal.SIGVTALRM, signal.SIGINT})
"""Those with a handler of this module's, or of the interpreter's own."""
_PATIENCE_SECONDS = 0.1
"""Of cpu time in one call, before it is watched."""
_BUDGET_SECONDS = 0.15
"""Of cpu time that is spent on watching a program, some thirty times slower, in all its calls."""
_ATTEMPTS = 7
"""At showing by induction that a loop never ends: in the 2nd pass, the 4th, the 8th, ..."""
_LOOKS = 128
"""Opcodes between two looks at the clock."""
_MOST_VALUES = 5_000
_DEEPEST = 40
_MOST_BITS = 4_096
_MOST_TEXT = 20_000

_PURE = frozenset(
    {"abs", "all", "any", "ascii", "bin", "callable", "chr", "divmod", "format", "hex", "len"}
    | {"isinstance", "issubclass", "max", "min", "oct", "ord", "pow", "repr", "round", "sorted"}
    | {"sum"}
)
"""Functions of `builtins` that do nothing but compute."""
_CONSTANTS = (bool, int, float, complex, str, bytes, range, types.NoneType, types.EllipsisType)
_PLAIN = (*_CONSTANTS, dict, frozenset, list, tuple)
_SET_METHODS = frozenset(
    {"__contains__", "copy", "difference", "intersection", "isdisjoint", "issubset", "issuperset"}
    | {"symmetric_difference", "union"}
)
_EFFECTS = frozenset(
    {"STORE_ATTR", "DELETE_ATTR", "IMPORT_NAME", "IMPORT_FROM", "IMPORT_STAR", "LOAD_BUILD_CLASS"}
    | {"SEND", "GET_AWAITABLE", "GET_ANEXT", "BEFORE_ASYNC_WITH"}
)
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"})
_NAMES = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF"})
_METHODS = frozenset(name for kind in (*_PLAIN, set) for name in dir(kind))
"""What an attribute of something on the stack, which may come from anywhere, has to be called."""
_MODULE_NAMES = frozenset(
    {"__annotations__", "__builtins__", "__doc__", "__file__", "__loader__", "__name__"}
    | {"__package__", "__spec__"}
)
"""What every module has."""
_IN_PLACE_ON_SETS = frozenset({"|=", "&=", "^=", "-="})


class _Unknown(Exception):
    """Something whose state can't be told."""


class Watch:
    """Watches the calls of one program.

    Args:
        program: its source.
        filename: that its code objects have.
    """

    def __init__(self, program: str, filename: str) -> None:
        self._program = program
        self._filename = filename
        self._codes: dict[types.CodeType, _Code] = {}
        self._records: dict[types.FrameType, dict[int, _Record]] = {}
        self._forecasts: dict[types.FrameType, dict[ast.While, _Forecast]] = {}
        self._text: induction.Program | None = None
        self._has_sets = False
        self._opcodes = 0
        self._began = 0.0
        self._left = _BUDGET_SECONDS

    def listen(self) -> None:
        """Makes the timer's signal the one to begin at."""
        _signal.signal(ENDED_BY, self._begin)

    def arm(self) -> None:
        """Begins a call: from now on its cpu time counts, unless the program uses this timer."""
        if self._left > 0 and _signal.getsignal(ENDED_BY) == self._begin:
            _signal.setitimer(_signal.ITIMER_VIRTUAL, _PATIENCE_SECONDS)

    def _begin(self, _number: int, frame: types.FrameType | None) -> None:
        try:
            if _may_be_interrupted():
                return
            self._records.clear()
            self._forecasts.clear()
            self._has_sets = False
            self._began = time.process_time()
            self._follow(frame)
            sys.setprofile(self._on_c_call)
            sys.settrace(self._on_call)
            # without a call, which would be taken for one of the program's
            while frame is not None:
                if frame.f_code.co_filename == self._filename:
                    frame.f_trace_opcodes = True
                frame = frame.f_back
        except BaseException:
            self._stop()

    def _follow(self, frame: types.FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename == self._filename:
                frame.f_trace = self._on_opcode
                frame.f_trace_lines = False
                frame.f_trace_opcodes = _ASKED_BEFORE
            frame = frame.f_back

    def _stop(self) -> None:
        sys.settrace(None)
        sys.setprofile(None)
        self._left -= time.process_time() - self._began
        self._records.clear()
        self._forecasts.clear()
        frame: types.FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename == self._filename:
                frame.f_trace = None
                frame.f_trace_opcodes = False
                frame.f_trace_lines = True
            frame = frame.f_back

    def _on_call(
        self, frame: types.FrameType, _event: str, _argument: object
    ) -> Callable[..., Any] | None:
        if frame.f_code.co_filename == self._filename:
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
            return self._on_opcode
        self._stop()
        return None

    def _on_c_call(self, _frame: types.FrameType, event: str, function: Any) -> None:
        if event != "c_call":
            return
        try:
            if not _is_pure(function):
                self._stop()
        except BaseException:
            self._stop()

    def _on_opcode(
        self, frame: types.FrameType, event: str, _argument: object
    ) -> Callable[..., Any] | None:
        if event == "return":  # or a generator that yields
            self._records.pop(frame, None)
            self._forecasts.pop(frame, None)
        if event != "opcode":
            return self._on_opcode
        try:
            if self._is_over() or not self._step(frame):
                self._stop()
                return None
        except BaseException:
            self._stop()
            return None
        return self._on_opcode

    def _is_over(self) -> bool:
        self._opcodes += 1
        return self._opcodes % _LOOKS == 0 and time.process_time() - self._began > self._left

    def _step(self, frame: types.FrameType) -> bool:
        """Looks at one opcode before it is executed, and says whether to go on watching."""
        code = self._codes.get(frame.f_code)
        if code is None:
            code = self._codes[frame.f_code] = _Code(frame.f_code, self._program)
        at = frame.f_lasti
        if at in code.effects or (self._has_sets and at in code.in_place):
            return False
        if at in code.attributes and not _leads_to_plain(frame, *code.attributes[at]):
            return False
        records = self._records.get(frame)
        if records:
            for anchor in [one for one in records if code.loops[one].is_around(at)]:
                records[anchor].forget()
        return at not in code.loops or self._pass(frame, at, code.loops[at])

    def _pass(self, frame: types.FrameType, at: int, loop: _Loop) -> bool:
        """Looks at a loop that begins another pass, and says whether to go on watching."""
        is_known, may_tell = self._compare(frame, at, loop), self._foretell(frame, at, loop)
        return is_known or may_tell

    def _compare(self, frame: types.FrameType, at: int, loop: _Loop) -> bool:
        """Ends the process if the loop's state was met before; whether that can be told."""
        records = self._records.setdefault(frame, {})
        record = records.setdefault(at, _Record())
        if record.is_unknown:
            return False
        try:
            now = self._state(frame, loop)
        except _Unknown:
            record.is_unknown = True
            return False
        if record.comes_again(now):
            _end()
        return True

    def _foretell(self, frame: types.FrameType, at: int, loop: _Loop) -> bool:
        """Ends the process if all further passes are shown to be alike; whether that may yet be."""
        from . import induction

        if self._text is None:
            self._text = induction.Program(self._program, self._filename)
        node = self._text.loop_at(*loop.place)
        if node is None:
            return False
        forecasts = self._forecasts.setdefault(frame, {})
        forecast = forecasts.setdefault(node, _Forecast())
        if forecast.begins_pass(at):
            if forecast.is_due() and induction.is_foretold(forecast.state, frame):
                _end()
            if forecast.is_wanted():
                until = self._began + self._left
                found = induction.foretell(self._text, node, frame, until)
                if found is not None:
                    forecast.expect(*found)
        return forecast.attempts < _ATTEMPTS or forecast.is_pending()

    def _state(self, frame: types.FrameType, loop: _Loop) -> list[str]:
        """All that the rest of a loop may depend on.

        Raises:
            _Unknown: there is something whose state can't be told.
        """
        values = _Values(frame.f_globals)
        values.add_names(frame.f_locals, loop.sums)
        if frame.f_locals is not frame.f_globals:
            values.add_names(frame.f_globals)
        self._has_sets = self._has_sets or values.has_sets
        return values.said


def disarm() -> None:
    """Ends the last call; the interpreter's own end would find nobody to take the signal."""
    _signal.setitimer(_signal.ITIMER_VIRTUAL, 0)


def _may_be_interrupted() -> bool:
    """Whether something else than the loop itself may have a say: a thread, a signal, a hook."""
    if sys.gettrace() is not None or sys.getprofile() is not None or gc.callbacks:
        return True
    if any(signal.getitimer(timer)[0] for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF)):
        return True
    handled = (signal.getsignal(number) for number in signal.valid_signals() - _OWN_SIGNALS)
    return any(map(callable, handled)) or len(sys._current_frames()) > 1


def _end() -> None:
    signal.signal(ENDED_BY, signal.SIG_DFL)
    os.kill(os.getpid(), ENDED_BY)


class _Record:
    """States at one place; an earlier one is kept, later and later (Brent's way to find cycles)."""

    __slots__ = ("_kept", "_since", "_span", "is_unknown")

    def __init__(self) -> None:
        self.is_unknown = False
        self.forget()

    def forget(self) -> None:
        """No state was met yet."""
        self._kept: list[str] | None = None
        self._since = 0
        self._span = 1

    def comes_again(self, state: list[str]) -> bool:
        if state == self._kept:
            return True
        self._since += 1
        if self._kept is None or self._since == self._span:
            self._span = 1 if self._kept is None else self._span * 2
            self._kept, self._since = state, 0
        return False


class _Forecast:
    """What is said to come of a loop, until it has come.

    Attributes:
        attempts: that were made to say something.
        state: that is foretold.
    """

    __slots__ = ("_at", "_due", "_passes", "attempts", "state")

    def __init__(self) -> None:
        self._at = 0
        self._passes = 0
        self._due = 0
        self.attempts = 0
        self.state: dict[str, Any] = {}

    def begins_pass(self, at: int) -> bool:
        """Counts a pass, if it begins at this offset.

        By a `continue`, one begins where the condition is tested once more, and is then met a
        second time, further on, where it goes on without one.
        """
        if at < self._at:
            return False
        if at > self._at:
            self._at, self._due = at, 0
        self._passes += 1
        return True

    def is_due(self) -> bool:
        """Whether what was foretold is to be so in this pass."""
        return self._passes == self._due

    def is_pending(self) -> bool:
        """Whether it is to be so in one that has yet to come."""
        return self._passes < self._due

    def is_wanted(self) -> bool:
        """Whether to say something now."""
        if self.is_pending() or self._passes < 2 << self.attempts or self.attempts == _ATTEMPTS:
            return False
        self.attempts += 1
        return True

    def expect(self, passes: int, state: dict[str, Any]) -> None:
        """So many passes from now, this is to be the state."""
        self._due = self._passes + passes
        self.state = state


class _Loop:
    """A `while` loop in a code object.

    Args:
        place: line and column of where it goes on, if known.
        around: first and last offset of what takes the next item, in each for loop around it.
        sums: variables that it only adds to.
    """

    __slots__ = ("_around", "place", "sums")

    def __init__(
        self,
        place: tuple[int | None, int | None],
        around: list[tuple[int, int]],
        sums: frozenset[str],
    ) -> None:
        self.place = place
        self._around = around
        self.sums = sums

    def is_around(self, offset: int) -> bool:
        """Whether the opcode at this offset takes the next item of a for loop around it."""
        return any(first <= offset <= last for first, last in self._around)


class _Code:
    """What there is to know of a code object, by the offsets of its opcodes.

    Attributes:
        loops: at the places that `while` loops jump back to.
        effects: opcodes that do more than compute.
        in_place: operations that may change a set.
        attributes: where one is read, its owner's name, if that is a plain one, and its own.
    """

    def __init__(self, code: types.CodeType, program: str) -> None:
        import dis  # here and below: not into the memory that each program's process is a copy of

        steps = [step for step in dis.get_instructions(code) if step.opname != "CACHE"]
        pairs = list(zip(steps, steps[1:], strict=False))  # noqa: RUF007
        self.effects = {step.offset for step in steps if step.opname in _EFFECTS}
        # which of two equal numbers or texts a name stands for is not written down
        self.effects |= {
            step.offset
            for before, step in pairs
            if step.opname == "IS_OP" and before.opname != "LOAD_CONST"
        }
        self.in_place = {
            step.offset
            for step in steps
            if step.opname == "BINARY_OP" and step.argrepr in _IN_PLACE_ON_SETS
        }
        self.attributes = {
            step.offset: (before.argval if before.opname in _NAMES else "", step.argval)
            for before, step in pairs
            if step.opname in _ATTRIBUTES
        }
        self.loops = dict(_loops(code, steps, program))


def _loops(
    code: types.CodeType, steps: list[dis.Instruction], program: str
) -> Iterator[tuple[int, _Loop]]:
    places = {step.offset: place for place, step in enumerate(steps)}
    heads: set[int] = set()
    for_loops: list[tuple[int, int, int]] = []
    for step in steps:
        if "JUMP_BACKWARD" not in step.opname:
            continue
        place = places[step.argval]
        while steps[place].opname == "EXTENDED_ARG":
            place += 1
        if steps[place].opname == "FOR_ITER":
            for_loops.append((step.argval, steps[place].offset, step.offset))
        else:
            heads.add(step.argval)
    for head in heads:
        around = [(first, taking) for first, taking, last in for_loops if first <= head <= last]
        positions = steps[places[head]].positions
        line, column = (positions.lineno, positions.col_offset) if positions else (None, None)
        yield head, _Loop((line, column), around, _sums(code, program, line))


def _sums(code: types.CodeType, program: str, line: int | None) -> frozenset[str]:
    """The local variables that the outermost `while` around a line does nothing with but add to.

    The outermost, since an inner loop may be left and entered again between two visits.
    """
    import ast

    around = [
        node
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.While)
        and line is not None
        and node.lineno <= line <= (node.end_lineno or 0)
    ]
    if not around:
        return frozenset()
    loop = min(around, key=lambda node: node.lineno)
    names = [node.id for node in ast.walk(loop) if isinstance(node, ast.Name)]
    own = set(code.co_varnames) - set(code.co_cellvars)
    added: dict[str, int] = {}
    for node in ast.walk(loop):
        name, uses = _added_to(node)
        added[name] = added.get(name, 0) + uses
    return frozenset(
        name for name, uses in added.items() if name in own and uses == names.count(name)
    )


def _added_to(node: ast.AST) -> tuple[str, int]:
    """The name that a statement adds to or takes from, and how often it stands there."""
    import ast

    match node:
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Add() | ast.Sub()):
            return name, 1
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.BinOp(left=ast.Name(id=same), op=ast.Add() | ast.Sub()),
        ) if name == same:
            return name, 2
        case ast.Assign(
            targets=[ast.Name(id=name)], value=ast.BinOp(op=ast.Add(), right=ast.Name(id=same))
        ) if name == same:
            return name, 2
    return "", 0


class _Values:
    """Values, written down so that two are written alike only if nothing can tell them apart.

    Args:
        module: the candidate's names, to know its own functions by.
    """

    def __init__(self, module: dict[str, Any]) -> None:
        self.said: list[str] = []
        self.has_sets = False
        self._module = module
        self._met: dict[int, int] = {}
        self._count = 0

    def add_names(self, names: dict[str, Any], sums: frozenset[str] = frozenset()) -> None:
        """Writes down a frame's variables or a module's.

        Raises:
            _Unknown: one is, or holds, something whose state can't be told.
        """
        for name, value in names.items():
            if name in sums and type(value) in (int, float):
                self.said.append(f"{name} sum {type(value).__name__}")
            elif names is not self._module or name not in _MODULE_NAMES:
                self.said.append(name)
                if not self._is_of_a_library(value):
                    self._add(value, 0)

    def _add(self, value: Any, depth: int) -> None:
        self._count += 1
        if self._count > _MOST_VALUES or depth > _DEEPEST:
            raise _Unknown
        kind = type(value)
        if kind in _CONSTANTS:
            self._add_constant(value)
            return
        if id(value) in self._met:
            self.said.append(f"@{self._met[id(value)]}")
            return
        self._met[id(value)] = len(self._met)
        if kind in (list, tuple, frozenset, set):
            self.has_sets = self.has_sets or kind is set
            self.said.append(f"{kind.__name__} {len(value)}")
            for item in value:
                self._add(item, depth + 1)
        elif kind is dict:
            self.said.append(f"dict {len(value)}")
            for key, item in value.items():
                self._add(key, depth + 1)
                self._add(item, depth + 1)
        elif kind is types.FunctionType:
            self._add_function(value, depth)
        else:
            raise _Unknown

    def _add_constant(self, value: Any) -> None:
        if value != value:  # a NaN is in a list by what it is, not by its value
            raise _Unknown
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise _Unknown
        if isinstance(value, str | bytes) and len(value) > _MOST_TEXT:
            raise _Unknown
        self.said.append(f"{type(value).__name__} {value!r}")

    def _add_function(self, function: types.FunctionType, depth: int) -> None:
        self.said.append(f"function {id(function.__code__)}")
        for part in (function.__defaults__, function.__kwdefaults__, vars(function)):
            self._add(part, depth + 1)
        for cell in function.__closure__ or ():
            try:
                self._add(cell.cell_contents, depth + 1)
            except ValueError:
                self.said.append("empty")

    def _is_of_a_library(self, value: Any) -> bool:
        """Whether it is code that is nobody's state as long as it isn't run: then watching ends."""
        match value:
            case types.ModuleType():
                return True
            case types.FunctionType():
                return value.__globals__ is not self._module
            case types.BuiltinFunctionType():
                return isinstance(value.__self__, types.ModuleType | types.NoneType)
            case types.MethodType():
                return self._is_of_a_library(type(value.__self__))
            case type():
                home = sys.modules.get(value.__module__)
                return home is not None and home.__spec__ is not None
        return type(value).__module__ == "typing"


def _leads_to_plain(frame: types.FrameType, owner: str, name: str) -> bool:
    """Whether an attribute is of a value that was written down, or is a constant itself."""
    for scope in (frame.f_locals, frame.f_globals, vars(builtins)):
        if owner in scope:
            found = scope[owner]
            if found is math or getattr(found, "__module__", "") == "builtins":
                return True
            if isinstance(found, types.ModuleType):
                return type(vars(found).get(name)) in _CONSTANTS
            return not isinstance(found, type)
    return name in _METHODS


def _is_pure(function: Any) -> bool:
    """Whether a function in C does nothing but compute, or change a plain value."""
    if type(function) is types.MethodDescriptorType:
        return issubclass(function.__objclass__, _PLAIN)
    if type(function) is not types.BuiltinFunctionType:
        return False
    owner, name = function.__self__, function.__name__
    if isinstance(owner, types.ModuleType):
        if owner is builtins:
            return name in _PURE
        return owner is math or (owner is sys and name in ("settrace", "setprofile"))
    return name in _SET_METHODS if type(owner) is set else type(owner) in _PLAIN
