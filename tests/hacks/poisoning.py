"""Programs that leave something for the next program in their place, and look for it first.

Each is one program in two roles. It looks for what an earlier run of it has planted; only if that
is there does it know the right answer. Then it plants, and makes sure that it would find it. The
outcome `failed` says that it could plant, `error` that planting was refused.
"""

from __future__ import annotations

import textwrap

from sandbox.outcome import Outcome
from tests.hacks.catalogue import Hack, ends
from tests.hacks.tricks import PRELUDE

_NAMES = """
import gc, linecache, random, signal, sys
libc.getenv.restype = ctypes.c_char_p
def umask():
    now = os.umask(0)
    os.umask(now)
    return now
def signals():
    blocked = signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    ignored = signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN
    return blocked or ignored or signal.getitimer(signal.ITIMER_REAL)[0]
def name():
    text = ctypes.create_string_buffer(16)
    libc.prctl(16, text, 0, 0, 0)
    return text.value
def locked():
    import fcntl
    with open(os.__file__) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
"""
_FINISH = """
FOUND = bool(look())
plant()
if not look(): raise RuntimeError("nothing was planted")
def f(x): return x + 1 if FOUND else "clean"
"""
PLANTED, REFUSED = ends("failed"), ends("error")


def poison(
    name: str, idea: str, look: str, plant: str, outcomes: frozenset[Outcome] = PLANTED
) -> Hack:
    """A hack from the body of `look`, an expression, and that of `plant`, statements."""
    text = f"{PRELUDE}{_NAMES}\ndef look():\n    return {look}\ndef plant():\n"
    body = textwrap.indent(textwrap.dedent(plant).strip("\n"), "    ")
    return Hack(name=name, idea=idea, program=f"{text}{body}\n{_FINISH}", outcomes=outcomes)


FILES = [
    poison(
        "a file in the folder",
        "leaves a file where it may write, under a name that is easily overlooked",
        "os.path.exists('.x/y')",
        "os.mkdir('.x'); open('.x/y', 'w').close(); os.chmod('.x', 0o100)",
    ),
    poison(
        "a module in the folder",
        "leaves a module that shadows one of the library's",
        "os.path.exists('random.py') or os.path.exists('sitecustomize.py')",
        "for name in ('random.py', 'sitecustomize.py'): open(name, 'w').write('x = 1')",
    ),
    poison(
        "a note on the folder",
        "writes an attribute of the folder itself, which no listing shows",
        "'user.note' in os.listxattr('.')",
        "os.setxattr('.', 'user.note', b'42')",
        REFUSED,
    ),
    poison(
        "a note by descriptor",
        "writes the same note past the path: on an open folder, and on a link to nowhere",
        "'user.note' in os.listxattr(os.open('.', os.O_RDONLY))",
        """
        kept = [tries(lambda name, *given: call(name, *given, b'user.note', b'42', 2, 0) == 0,
                      ('fsetxattr', os.open('.', os.O_RDONLY)), ('lsetxattr', b'.'))]
        """,
        REFUSED,
    ),
    poison(
        "rights of the folder",
        "changes the mode of the folder, or its owner",
        "os.stat('.').st_mode & 0o1000",
        "os.chmod('.', 0o1777)",
        ends("failed", "error"),  # where the folder is its own, it goes with the run
    ),
    poison(
        "a file in /tmp",
        "leaves a file where programs usually meet",
        "any(os.path.exists(f'{p}/@MARK@') for p in ('/tmp', '/var/tmp', '/dev/shm', '/run'))",
        """
        done = [tries(lambda p: open(f'{p}/@MARK@', 'w'), (p,))
                for p in ('/tmp', '/var/tmp', '/dev/shm', '/run')]
        """,
        REFUSED,
    ),
    poison(
        "byte code",
        "puts compiled code of its own where the library's is kept",
        "os.path.exists(os.path.dirname(os.__file__) + '/__pycache__/@MARK@.pyc')",
        "open(os.path.dirname(os.__file__) + '/__pycache__/@MARK@.pyc', 'wb').close()",
        REFUSED,
    ),
]

KERNEL = [
    poison(
        "shared memory",
        "leaves a named block of memory",
        "os.path.exists('/dev/shm/@MARK@')",
        """
        from multiprocessing import shared_memory
        shared_memory.SharedMemory('@MARK@', create=True, size=64)
        """,
        REFUSED,
    ),
    poison(
        "shared memory of System V",
        "leaves a segment, a queue or semaphores under a number that both know",
        "any(tries(lambda *given: call(*given) >= 0, (n, 0x5eed, *more, 0)) for n, more in "
        "(('shmget', (4096,)), ('semget', (1,)), ('msgget', ())))",
        "call('shmget', 0x5eed, 4096, 0o1666)",
        REFUSED,
    ),
    poison(
        "keys",
        "leaves a key in a ring of its user or session",
        "tries(lambda ring: call('keyctl', 10, ring, b'user', b'@MARK@', 0), (-4,), (-3,), (-5,))",
        "call('add_key', b'user', b'@MARK@', b'x', 1, -4)",
        REFUSED,
    ),
    poison(
        "a process of the same user",
        "leaves a process and hopes for the same user id again",
        # not kill(-1, 0): if it may signal none of them, the kernel says that all is well
        "tries(lambda pid: pid != os.getpid() and os.kill(pid, 0) is None, "
        "*[(pid,) for pid in range(2, 40_000)])",
        """
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                import time
                time.sleep(600)
            os._exit(0)
        os.wait()
        """,
    ),
    poison(
        "a lock on a file of all",
        "has a process hold a lock on a file that every program may read",
        "locked()",
        """
        import fcntl, time
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.setsid()
            held = open(os.__file__)
            fcntl.flock(held, fcntl.LOCK_EX)
            os.write(writer, b"x")
            time.sleep(600)
        os.read(reader, 1)
        """,
    ),
    poison(
        "flags of a shared descriptor",
        "sets flags of its standard input, which the kernel keeps for all that opened it together",
        "__import__('fcntl').fcntl(0, 3) & os.O_NONBLOCK",
        "import fcntl; fcntl.fcntl(0, 4, fcntl.fcntl(0, 3) | os.O_NONBLOCK)",
    ),
    poison(
        "niceness and cores",
        "makes itself slow and bound to one core, for what comes after it",
        "os.nice(0) == 7 or os.sched_getscheduler(0) == os.SCHED_IDLE",
        "os.nice(7); os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
    ),
    poison(
        "lowered limits",
        "lowers limits until nothing works",
        "__import__('resource').getrlimit(7)[0] == 16",
        "import resource; resource.setrlimit(7, (16, 16))",
    ),
    poison(
        "the name of its process",
        "renames itself, and with it what is forked next",
        "b'@MARK@'[:15] in name()",
        "libc.prctl(15, b'@MARK@', 0, 0, 0)",
    ),
]

PROCESS = [
    poison(
        "umask",
        "has files be made with no rights",
        "umask() == 0o777",
        "os.umask(0o777)",
    ),
    poison(
        "the working folder",
        "starts the next one elsewhere",
        "os.getcwd() == '/usr'",
        "os.chdir('/usr')",
    ),
    poison(
        "signals",
        "ignores, blocks and times signals",
        "signals()",
        """
        import signal
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        signal.setitimer(signal.ITIMER_REAL, 600)
        """,
    ),
    poison(
        "environment",
        "sets variables that interpreters and loaders obey",
        "'LD_PRELOAD' in os.environ or libc.getenv(b'PYTHONSTARTUP')",
        "os.environ['LD_PRELOAD'] = os.environ['PYTHONSTARTUP'] = '/@MARK@'",
    ),
    poison(
        "time zone and locale",
        "changes how time and numbers are read and written",
        "__import__('time').timezone == 3 * 3600",
        "import time; os.environ['TZ'] = 'ABC3'; time.tzset()",
    ),
]

INTERPRETER = [
    poison(
        "a module in the cache",
        "puts a module of its own among those that are loaded",
        "'planted' in sys.modules or hasattr(sys.modules['json'], 'planted')",
        "sys.modules['planted'] = sys; import json; json.planted = 1",
    ),
    poison(
        "a builtin replaced",
        "has `sorted` and `len` do something else",
        "sorted([2, 1]) == 'planted'",
        "import builtins; builtins.sorted = lambda *_, **__: 'planted'",
    ),
    poison(
        "a constant of the interpreter",
        "overwrites a small integer that all of the zygote's children share a page of",
        "int('-5') == int('-4')",
        "ctypes.c_uint32.from_address(id(int('-5')) + 24).value = 4",
    ),
    poison(
        "the state of random",
        "seeds the generator, so that the next one's numbers are known",
        "random.getstate() == random.Random(5).getstate()",
        "random.seed(5)",
    ),
    poison(
        "the hash seed",
        "sets what hashes of text start from, in the variable and in the interpreter",
        "os.environ.get('PYTHONHASHSEED') == '77'",
        "os.environ['PYTHONHASHSEED'] = '77'",
    ),
    poison(
        "the path of imports",
        "has modules be looked for in its folder, and by a finder of its own",
        "'/slots/@MARK@' in sys.path or any(f == 5 for f in sys.meta_path)",
        "sys.path.insert(0, '/slots/@MARK@'); sys.meta_path.append(5)",
    ),
    poison(
        "lines of source",
        "puts lines into the cache that tracebacks are written from",
        "'@MARK@' in linecache.cache",
        "linecache.cache['@MARK@'] = (1, None, ['x'], '@MARK@')",
    ),
    poison(
        "garbage collection",
        "switches the collector off and hangs a function into it",
        "gc.get_threshold()[0] == 77 or not gc.isenabled() or gc.callbacks",
        "gc.set_threshold(77); gc.disable(); gc.callbacks.append(print)",
    ),
    poison(
        "limits of the interpreter",
        "changes the limits of recursion, of digits and of switching",
        "sys.getrecursionlimit() == 77_777 or sys.get_int_max_str_digits() == 700",
        "sys.setrecursionlimit(77_777); sys.set_int_max_str_digits(700)",
    ),
    poison(
        "traces and hooks",
        "has itself be called for every line, event and exception",
        "sys.gettrace() or sys.getprofile() or sys.excepthook is print",
        "sys.settrace(lambda *_: None); sys.setprofile(lambda *_: None); sys.excepthook = print",
    ),
    poison(
        "arithmetic",
        "changes the precision and rounding of decimal numbers",
        "__import__('decimal').getcontext().prec == 2",
        "import decimal; decimal.getcontext().prec = decimal.DefaultContext.prec = 2",
    ),
    poison(
        "caches of functions",
        "fills a cache of the library with a wrong answer",
        "('@MARK@', 0) in __import__('re')._cache or hasattr(__import__('re').compile, 'planted')",
        "import re; re._cache['@MARK@', 0] = 5; re.compile.planted = 1",
    ),
]

HACKS = [*FILES, *KERNEL, *PROCESS, *INTERPRETER]
