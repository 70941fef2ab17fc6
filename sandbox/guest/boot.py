"""The few lines that a bare `python3 -c` runs: take the guest's modules off the stream and start.

The modules come as source in the first frame and are imported from memory, so any image with a
Python runs today's guest and nothing has to be mounted or written. This text is the program; it is
never imported by the guest itself.
"""

from __future__ import annotations

import importlib
import json
import marshal
import os
import struct
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

PACKAGE = "regreen_guest"


def take(count: int) -> bytes:
    """Exactly `count` bytes of standard input, and not one more."""
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            sys.exit(0)
        data += more
    return data


class FromMemory:
    """Imports the guest's modules from the sources that came over the stream.

    A finder and a loader without the base classes for them: those bring a dozen modules along, and
    all that is in memory makes each fork dearer. For the same reason a module is compiled in a
    process of its own while the server starts: the compiler would leave gaps all over the heap,
    with what was made of the modules scattered between them.
    """

    def __init__(self, sources: dict[str, str], *, apart: bool) -> None:
        self.sources = sources
        self._apart = apart

    def compile_here(self) -> None:
        """From now on, compiles in the process that imports."""
        self._apart = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name not in self.sources:
            return None
        return ModuleSpec(name, self, is_package=name == PACKAGE)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        code = self._compiled_apart(name) if self._apart else self._compiled(name)
        exec(code, module.__dict__)

    def _compiled(self, name: str) -> CodeType:
        return compile(self.sources[name], f"<regreen>/{name}.py", "exec", dont_inherit=True)

    def _compiled_apart(self, name: str) -> CodeType:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                with os.fdopen(writer, "wb") as file:
                    marshal.dump(self._compiled(name), file)
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            data = file.read()
        os.waitpid(pid, 0)
        if not data:  # then it fails here, too, and says why
            return self._compiled(name)
        code: CodeType = marshal.loads(data)
        del self.sources[name]  # which is a module's only use, and would be in each fork
        return code


def start() -> None:
    """Reads the first frame and hands over to the guest's main function."""
    (length,) = struct.unpack(">I", take(4))
    first = json.loads(take(length))
    sys.dont_write_bytecode = True
    finder = FromMemory(first["sources"], apart=first["config"]["role"] == "zygote")
    sys.meta_path.insert(0, finder)
    importlib.import_module(f"{PACKAGE}.main").main(first["config"], finder.compile_here)


if __name__ == "__main__":
    start()
