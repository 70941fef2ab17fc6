"""Programs that take more than their share: time, memory, processes, files, output."""

from __future__ import annotations

from tests.hacks.catalogue import ADDS_ONE_SHELL, ADDS_ONE_STDIO, Hack, ends
from tests.hacks.tricks import PRELUDE

_DROPS = """
    import json, os, stat, struct, time
    def f(x):
        time.sleep(0.1)
        body = json.dumps({"r": 1, "v": x + 1}).encode()
        for byte in struct.pack(">I", len(body)) + body:
            os.write(sock(), bytes([byte]))
            time.sleep(0.4)
    def sock():
        for fd in range(3, 64):
            try:
                if stat.S_ISSOCK(os.fstat(fd).st_mode):
                    return fd
            except OSError:
                pass
    """
_STREAMS_UTF8 = r"b'\xff\xfe\x1b]0;owned\x07\x1b[2J\xc3'"

TIME = [
    Hack(
        name="cpu",
        idea="computes for ever",
        program="def f(x):\n    while True: x += 1",
        outcomes=ends("timeout"),
    ),
    Hack(
        name="cpu in one call",
        idea="computes for ever inside the interpreter, where no Python code runs",
        program="def f(x): return sum(range(10**12))",
        outcomes=ends("timeout"),
    ),
    Hack(
        name="cpu of a child",
        idea="has children compute, one after the other, each below the limit",
        program="""
            import os, time
            def f(x):
                while True:
                    if os.fork() == 0:
                        end = time.process_time() + 0.3
                        while time.process_time() < end: pass
                        os._exit(0)
                    os.wait()
            """,
        outcomes=ends("timeout"),
    ),
    Hack(
        name="sleep",
        idea="waits, which costs no cpu time",
        program="import time\ndef f(x): time.sleep(3600)",
        outcomes=ends("timeout"),
    ),
    Hack(
        name="sleep at import",
        idea="waits before the first question",
        program="import time\ntime.sleep(3600)",
        outcomes=ends("timeout"),
    ),
    Hack(
        name="a little for each call",
        idea="stays below the limit each time and adds up to more",
        program="import time\ndef f(x):\n    time.sleep(1.2)\n    return x + 1",
        outcomes=ends("timeout"),
    ),
    Hack(
        name="an answer by drops",
        idea="sends a byte now and then, so that it is never silent for long",
        program=_DROPS,
        outcomes=ends("timeout"),
    ),
    Hack(
        name="deaf to signals",
        idea="ignores and blocks every signal, that of the cpu limit, too",
        program="""
            import signal
            for number in range(1, 65):
                try: signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError): pass
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            def f(x):
                while True: pass
            """,
        outcomes=ends("timeout"),
    ),
    Hack(
        name="every exception swallowed",
        idea="catches whatever it is interrupted with",
        program="""
            import signal
            def again(number, frame): raise KeyboardInterrupt
            for number in (signal.SIGXCPU, signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
                signal.signal(number, again)
            def f(x):
                while True:
                    try:
                        while True: pass
                    except BaseException: pass
            """,
        outcomes=ends("timeout"),
    ),
    Hack(
        name="stopped",
        idea="stops itself, so that it can't be asked to end",
        program="import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGSTOP)",
        outcomes=ends("timeout"),
    ),
    Hack(
        name="a regular expression",
        idea="matches with exponential backtracking",
        program="import re\ndef f(x): return bool(re.match('(a+)+$', 'a' * 60 + 'b'))",
        outcomes=ends("timeout"),
    ),
    Hack(
        name="a big power",
        idea="computes a number that takes for ever and all memory",
        program="def f(x): return pow(10, 10**10)",
        outcomes=ends("timeout", "memory"),
    ),
    Hack(
        name="a big number as text",
        idea="converts a number with millions of digits",
        program="import sys\nsys.set_int_max_str_digits(0)\ndef f(x): return len(str(3**(10**8)))",
        outcomes=ends("timeout", "memory"),
    ),
    Hack(
        name="a lock for ever",
        idea="waits for a lock that it holds itself",
        program="""
            import threading
            lock = threading.Lock()
            def f(x):
                lock.acquire()
                lock.acquire()
            """,
        outcomes=ends("timeout"),
    ),
    Hack(
        name="a full pipe",
        idea="writes to a pipe that nobody reads",
        program="""
            import os
            def f(x):
                _, writer = os.pipe()
                while True: os.write(writer, bytes(9999))
            """,
        outcomes=ends("timeout"),
    ),
    Hack(
        name="a collision of hashes",
        idea="fills a dict with keys that all hash alike",
        program="""
            def f(x):
                return len({k * (2**61 - 1): 0 for k in range(10**6)})
            """,
        outcomes=ends("timeout"),
    ),
]

MEMORY = [
    Hack(
        name="memory at once",
        idea="asks for more than there is",
        program="def f(x): return len(bytearray(1 << 34))",
        outcomes=ends("memory"),
    ),
    Hack(
        name="memory by drops",
        idea="asks for a little, for ever",
        program="kept = []\ndef f(x):\n    while True: kept.append(bytearray(1 << 16))",
        outcomes=ends("memory"),
        limits={"memory_mb": 64},
    ),
    Hack(
        name="memory swallowed",
        idea="goes on after the error that says that there is no more",
        program="""
            kept = []
            def f(x):
                while True:
                    try: kept.append(bytearray(1 << 20))
                    except MemoryError: pass
            """,
        outcomes=ends("memory", "timeout"),
        limits={"memory_mb": 64},
    ),
    Hack(
        name="memory of children",
        idea="takes in many processes what one may not have",
        program="""
            import os, time
            def f(x):
                for _ in range(28):
                    if os.fork() == 0:
                        kept = b"x" * (150 << 20)
                        time.sleep(60)
                time.sleep(60)
            """,
        outcomes=ends("memory", "timeout", "crash"),
        limits={"memory_mb": 192},
        backends=("docker",),
    ),
    Hack(
        name="shared mappings",
        idea="maps memory that is shared, which some limits don't count",
        program="""
            import mmap
            kept = []
            def f(x):
                while True:
                    kept.append(mmap.mmap(-1, 16 << 20))
                    kept[-1].write(bytes(16 << 20))
            """,
        outcomes=ends("memory", "error"),
        limits={"memory_mb": 64},
    ),
    Hack(
        name="a decompression bomb",
        idea="unpacks a little into a lot",
        program="""
            import zlib
            def f(x):
                packed = zlib.compress(bytes(8 << 20))
                return len(b"".join(zlib.decompress(packed) for _ in range(200)))
            """,
        outcomes=ends("memory"),
        limits={"memory_mb": 128},
    ),
    Hack(
        name="files without a name",
        idea="fills files that live in memory and in no file system, the secret kind among them",
        program=PRELUDE
        + """
kept = []
def f(x):
    for name, given in (("memfd_create", (b"@MARK@", 0)), ("memfd_secret", (0,))):
        try:
            kept.append(call(name, *given))
        except OSError:
            pass
    if not kept: raise MemoryError("no file is to be had")
    for number in kept:
        os.ftruncate(number, 8 << 30)
        for block in range(8 << 10):
            os.pwrite(number, bytes(1 << 20), block << 20)
    return x + 1
""",
        outcomes=ends("memory"),
    ),
    Hack(
        name="memory of the kernel",
        idea="fills pipes with what is counted to nobody",
        program="""
            import fcntl, os
            kept = []
            def f(x):
                while True:
                    reader, writer = os.pipe()
                    kept.append((reader, writer))
                    fcntl.fcntl(writer, 1031, 1 << 20)
                    os.write(writer, bytes(1 << 20))
            """,
        outcomes=ends("error", "timeout"),
    ),
    Hack(
        name="deep recursion",
        idea="calls itself until the interpreter gives up",
        program="def f(x): return f(x)",
        outcomes=ends("error"),
    ),
    Hack(
        name="recursion without a limit",
        idea="raises the interpreter's limit first",
        program="import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x + 1) + 1",
        outcomes=ends("crash", "memory", "error", "timeout"),
    ),
    Hack(
        name="the stack of C",
        idea="uses the machine's stack up, below Python",
        program="""
            import ctypes
            compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
            qsort = ctypes.CDLL(None).qsort
            def f(x):
                import sys
                sys.setrecursionlimit(10**9)
                def deeper(a, b):
                    qsort((ctypes.c_int * 2)(2, 1), 2, 4, compare(deeper))
                    return 0
                return deeper(0, 0)
            """,
        outcomes=ends("crash", "memory", "error", "timeout"),
    ),
    Hack(
        name="a program too deep to read",
        idea="has the compiler use its stack up",
        program="def f(x): return eval('-' * 10**6 + '1')",
        outcomes=ends("memory", "error", "crash", "syntax"),
    ),
]

PROCESSES = [
    Hack(
        name="a fork bomb",
        idea="doubles for ever",
        program="import os\ndef f(x):\n    while True: os.fork()",
        outcomes=ends("pids", "protocol", "timeout", "crash", "error"),
    ),
    Hack(
        name="a patient fork bomb",
        idea="tries again whenever it is refused",
        program="""
            import os
            def f(x):
                while True:
                    try: os.fork()
                    except OSError: pass
            """,
        outcomes=ends("timeout", "protocol", "crash", "pids"),
    ),
    Hack(
        name="a fork bomb of the shell",
        idea="is the classic",
        program="bomb() { bomb | bomb & }; bomb; sleep 9",
        exam=ADDS_ONE_SHELL,
        outcomes=ends("error", "failed", "timeout", "output", "pids", "crash"),
    ),
    Hack(
        name="threads",
        idea="starts threads until there are no more",
        program="""
            import threading, time
            def f(x):
                while True: threading.Thread(target=time.sleep, args=(60,)).start()
            """,
        outcomes=ends("pids"),
    ),
    Hack(
        name="the dead",
        idea="never collects its children, who keep their numbers",
        program="""
            import os
            def f(x):
                while True:
                    if os.fork() == 0: os._exit(0)
            """,
        outcomes=ends("pids"),
    ),
    Hack(
        name="always another",
        idea="moves to a new process all the time, so that none is caught",
        program="""
            import os
            def f(x):
                os.setsid() if os.getpid() != os.getsid(0) else None
                while True:
                    if os.fork(): os._exit(0)
            """,
        outcomes=ends("crash"),
    ),
    Hack(
        name="an heir with the socket",
        idea="dies and leaves a child that holds the line to the judge open",
        program="""
            import os, time
            def f(x):
                if os.fork() == 0:
                    os.setsid()
                    time.sleep(3600)
                os._exit(0)
            """,
        outcomes=ends("crash"),
    ),
    Hack(
        name="an heir with the output",
        idea="ends with a wrong answer and leaves a daemon that holds its outputs open",
        program="setsid sleep 3600 &\necho 5",
        exam=ADDS_ONE_SHELL,
        outcomes=ends("failed"),
    ),
    Hack(
        name="an heir that talks",
        idea="ends, and a daemon goes on to write to its output for ever",
        program="setsid sh -c 'while :; do echo xxxxxxxxxxxxxxx; done' &\necho 5",
        exam=ADDS_ONE_SHELL,
        outcomes=ends("failed", "output"),
    ),
    Hack(
        name="a child that is stopped",
        idea="leaves a stopped process that holds what it has",
        program="""
            import os, signal
            def f(x):
                pid = os.fork()
                if pid == 0:
                    os.setsid()
                    while True: os.kill(os.getpid(), signal.SIGSTOP)
                os.waitpid(pid, os.WUNTRACED)
                return 0
            """,
        outcomes=ends("failed"),
    ),
    Hack(
        name="a killer of cleaners",
        idea="leaves a process that kills whatever comes under its user's name",
        program="""
            import os, signal, time
            def f(x):
                for _ in range(4):
                    if os.fork() == 0:
                        os.setsid()
                        os.closerange(0, 64)
                        while True:
                            try: os.kill(-1, signal.SIGSTOP)
                            except OSError: pass
                time.sleep(0.05)
                return 0
            """,
        outcomes=ends("failed", "timeout", "crash"),
    ),
    Hack(
        name="a huge command line",
        idea="starts a program with more arguments than the kernel takes",
        program="import os\ndef f(x): os.execv('/bin/true', ['x' * 120_000] * 40)",
        outcomes=ends("error"),
    ),
]

FILES = [
    Hack(
        name="one large file",
        idea="writes to a file for ever",
        program="""
            def f(x):
                with open("@MARK@", "wb") as file:
                    while True: file.write(bytes(1 << 16))
            """,
        outcomes=ends("disk"),
    ),
    Hack(
        name="a large hole",
        idea="makes a file of a size that it never writes",
        program="""
            def f(x):
                with open("@MARK@", "wb") as file:
                    file.truncate(1 << 40)
                return 0
            """,
        outcomes=ends("disk"),
    ),
    Hack(
        name="many files",
        idea="stays below the limit of a file with each, and fills the folder",
        program="""
            def f(x):
                for number in range(10**6):
                    open(str(number), "wb").write(bytes(1 << 20))
            """,
        outcomes=ends("disk"),
    ),
    Hack(
        name="many empty files",
        idea="uses up what the file system has for names",
        program="""
            def f(x):
                for number in range(10**6): open(str(number), "wb").close()
            """,
        outcomes=ends("disk"),
    ),
    Hack(
        name="folders in folders",
        idea="makes a tree so deep that cleaning it up runs out of stack or patience",
        program="""
            import os
            def f(x):
                while True:
                    os.mkdir("d")
                    os.chdir("d")
            """,
        outcomes=ends("disk"),
    ),
    Hack(
        name="names that can't be read",
        idea="leaves names of every byte, links in circles, and folders that nobody may enter",
        program=r"""
            import os
            def f(x):
                for byte in range(1, 256):
                    if byte != 47: os.mkdir(bytes([byte, 255, 10]))
                os.symlink("loop", "loop")
                os.symlink("/", "root")
                os.link("loop", "again")
                for name in os.listdir("."):
                    if os.path.isdir(name) and not os.path.islink(name): os.chmod(name, 0)
                return 0
            """,
        outcomes=ends("failed"),
    ),
    Hack(
        name="files that are gone",
        idea="fills the folder with files that have no name any more, held by a daemon",
        program="""
            import os, time
            def f(x):
                held = []
                try:
                    while True:
                        held.append(open("x", "wb"))
                        os.unlink("x")
                        held[-1].write(bytes(1 << 20))
                        held[-1].flush()
                except OSError:
                    if os.fork() == 0: time.sleep(3600)
                    raise
            """,
        outcomes=ends("disk"),
    ),
    Hack(
        name="descriptors",
        idea="opens files until there are no more descriptors",
        program="import os\ndef f(x):\n    while True: os.dup(0)",
        outcomes=ends("error"),
    ),
]

_FLOOD = "import sys\ndef f(x):\n    while True: {}"
OUTPUT = [
    Hack(
        name="a flood",
        idea="prints for ever",
        program=_FLOOD.format("print('x' * 1000)"),
        outcomes=ends("output"),
    ),
    Hack(
        name="a flood of errors",
        idea="writes to the other stream for ever",
        program=_FLOOD.format("sys.stderr.write('x' * 1000)"),
        outcomes=ends("output"),
    ),
    Hack(
        name="a flood in turns",
        idea="stays below the limit with each stream",
        program="import os\ndef f(x):\n    for n in range(10**9): os.write(1 + n % 2, b'x' * 999)",
        outcomes=ends("output"),
    ),
    Hack(
        name="a flood of garbage",
        idea="floods with bytes that are no text, and with commands for the terminal",
        program=f"import os\ndef f(x):\n    while True: os.write(1, {_STREAMS_UTF8} * 99)",
        outcomes=ends("output"),
    ),
    Hack(
        name="a flood of a program",
        idea="floods on standard output, where the answer is looked for",
        program="while True: print('4' * 1000)",
        exam=ADDS_ONE_STDIO,
        outcomes=ends("output", "timeout"),
    ),
    Hack(
        name="a flood by children",
        idea="has many processes write at once",
        program="""
            import os
            def f(x):
                for _ in range(8):
                    if os.fork() == 0:
                        while True: os.write(2, b"y" * 4096)
                os.wait()
            """,
        outcomes=ends("output"),
    ),
    Hack(
        name="garbage as an answer",
        idea="prints what is no text, around the right answer",
        program=f"import os\ninput()\nos.write(1, {_STREAMS_UTF8} + b'4')",
        exam=ADDS_ONE_STDIO,
        outcomes=ends("failed", "error"),
    ),
]

HACKS = [*TIME, *MEMORY, *PROCESSES, *FILES, *OUTPUT]
