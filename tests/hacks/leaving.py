"""Every way to be gone before, while or after an answer is due, and to take others along."""

from __future__ import annotations

from tests.hacks.catalogue import (
    ADDS_ONE_PROPERTY,
    ADDS_ONE_SHELL,
    ADDS_ONE_STDIO,
    STACK,
    Hack,
    ends,
)

_GONE = ends("crash")
_REFUSED = ends("error")

HACKS = [
    Hack(
        name="success at import",
        idea="os._exit(0) before any test has asked for anything",
        program="import os\nos._exit(0)",
        outcomes=_GONE,
    ),
    Hack(
        name="success in a call",
        idea="os._exit(0) instead of a reply",
        program="import os\ndef f(x): os._exit(0)",
        outcomes=_GONE,
    ),
    Hack(
        name="success after a right reply",
        idea="answers the first test and is gone at the second",
        program="""
            import os
            asked = []
            def f(x):
                asked.append(x)
                if len(asked) > 1: os._exit(0)
                return x + 1
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="sys.exit at import",
        idea="SystemExit with status 0 out of the module",
        program="import sys\nsys.exit(0)",
        outcomes=_REFUSED,
    ),
    Hack(
        name="quit in a call",
        idea="SystemExit by the site builtins or by name, out of the function",
        program="def f(x):\n    raise SystemExit(0)",
        outcomes=_REFUSED,
    ),
    Hack(
        name="an interrupt",
        idea="KeyboardInterrupt, which a runner passes on to whoever started it",
        program="def f(x): raise KeyboardInterrupt",
        exam=ADDS_ONE_PROPERTY,
        outcomes=_REFUSED,
    ),
    Hack(
        name="GeneratorExit",
        idea="a BaseException that closes generators without a word",
        program="def f(x): raise GeneratorExit",
        outcomes=_REFUSED,
    ),
    Hack(
        name="an exception group of exits",
        idea="SystemExit inside a BaseExceptionGroup",
        program="def f(x): raise BaseExceptionGroup('x', [SystemExit(0)])",
        exam=ADDS_ONE_PROPERTY,
        outcomes=_REFUSED,
    ),
    Hack(
        name="an exit of its own kind",
        idea="a BaseException whose class, text and arguments exit in their turn",
        program="""
            import os
            class Meta(type):
                @property
                def __name__(cls): os._exit(0)
            class Leave(BaseException, metaclass=Meta):
                def __str__(self): os._exit(0)
            def f(x): raise Leave
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="a thread that exits",
        idea="a thread ends the process while the main thread waits",
        program="""
            import os, threading, time
            def f(x):
                threading.Thread(target=os._exit, args=(0,)).start()
                time.sleep(5)
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="a timer that exits",
        idea="an alarm set at import ends the process between two calls",
        program="""
            import signal, time
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            def f(x):
                time.sleep(0.2)
                return 3
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="__del__ exits",
        idea="the last reference to an object goes, and with it the process",
        program="""
            import os
            class Last:
                def __del__(self): os._exit(0)
            def f(x):
                Last()
                return 3
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="the library of C exits",
        idea="leaves below Python, by exit and by exit_group, where no handler of Python's looks",
        program="""
            import ctypes
            libc = ctypes.CDLL(None)
            def f(x):
                if x == 2: libc.exit(0)
                libc._exit(0)
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="only the first thread ends",
        idea="ends the main thread by the bare call, while another one keeps the process alive",
        program="""
            import ctypes, platform, threading, time
            number = {"x86_64": 60, "aarch64": 93}[platform.machine()]
            def f(x):
                threading.Thread(target=time.sleep, args=(3600,)).start()
                ctypes.CDLL(None).syscall(number, 0)
            """,
        outcomes=ends("timeout", "crash"),
    ),
    Hack(
        name="hooks that exit",
        idea="exits out of hooks: for what is raised in __del__, in threads, at exit and by audit",
        program="""
            import os, sys, threading
            gone = lambda *given: os._exit(0)
            sys.excepthook = sys.unraisablehook = threading.excepthook = sys.displayhook = gone
            class Last:
                def __del__(self): raise ValueError("to the hook")
            def f(x):
                sys.addaudithook(gone)
                Last()
                return 3
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="exits in a child's hooks",
        idea="has every fork and every thread end what it comes from",
        program="""
            import os, threading
            os.register_at_fork(before=lambda: os._exit(0))
            def f(x):
                os.fork()
                return 3
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="a weak reference exits",
        idea="a finalizer of the reply itself ends the process after it is sent",
        program="""
            import os, weakref
            class Reply(list): pass
            def f(x):
                reply = Reply([x])
                weakref.finalize(reply, os._exit, 0)
                return reply
            """,
        outcomes=ends("crash", "failed"),
    ),
    Hack(
        name="atexit with success",
        idea="registers an exit with status 0 and leaves by an exception",
        program="""
            import atexit, os, sys
            atexit.register(os._exit, 0)
            def f(x):
                atexit._run_exitfuncs()
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="abort",
        idea="SIGABRT, with a handler that exits with success",
        program="""
            import os, signal
            signal.signal(signal.SIGABRT, lambda *a: os._exit(0))
            def f(x): os.abort()
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="exec of true",
        idea="becomes /bin/true, which ends with success and keeps the descriptors",
        program="""
            import os
            def f(x):
                for fd in range(3, 64):
                    try: os.set_inheritable(fd, True)
                    except OSError: pass
                os.execv("/bin/true", ["@MARK@"])
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="exec of a sleeper",
        idea="becomes a program that never answers, with a name that is searched for",
        program="import os\ndef f(x): os.execv('/bin/sleep', ['sleep @MARK@', '1000'])",
        limits={"wall_seconds": 0.5},
        outcomes=ends("timeout"),
    ),
    Hack(
        name="kills itself",
        idea="SIGKILL to itself, which looks like a lack of memory or of time",
        program="import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGKILL)",
        outcomes=_GONE,
    ),
    Hack(
        name="pretends to be out of time",
        idea="SIGXCPU to itself, so that it is tried again with more",
        program="import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGXCPU)",
        outcomes=_GONE,
    ),
    Hack(
        name="stops itself",
        idea="SIGSTOP, so that it neither runs nor ends",
        program="import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGSTOP)",
        limits={"wall_seconds": 0.5},
        outcomes=ends("timeout"),
    ),
    Hack(
        name="kills its parent",
        idea="SIGKILL to the process that started it",
        program="""
            import os, signal
            def f(x):
                try:
                    os.kill(os.getppid() or 1, signal.SIGKILL)
                except OSError:
                    pass
                return 3
            """,
        outcomes=ends("failed"),
    ),
    Hack(
        name="kills its group",
        idea="SIGKILL to the process group that it shares with nobody",
        program="import os, signal\ndef f(x): os.killpg(0, signal.SIGKILL)",
        outcomes=_GONE,
    ),
    Hack(
        name="kills everyone",
        idea="SIGKILL to every process that it may reach, and to itself",
        program="""
            import os, signal
            def f(x):
                for pid in [*range(2, 3000), -1]:
                    if pid != os.getpid():
                        try: os.kill(pid, signal.SIGKILL)
                        except OSError: pass
                os.kill(os.getpid(), signal.SIGKILL)
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="leaves a child in its place",
        idea="forks and exits; the child goes on with the conversation",
        program="""
            import os
            def f(x):
                if os.fork():
                    os._exit(0)
                return 3
            """,
        outcomes=ends("crash", "failed", "protocol"),
    ),
    Hack(
        name="two that answer",
        idea="forks at import and has both processes answer",
        program="import os, time\nos.fork()\ndef f(x): return 3",
        outcomes=ends("failed", "protocol", "crash"),
    ),
    Hack(
        name="no limit on cores and files",
        idea="sets its limits to nothing at all, so that it can't even say that it failed",
        program="""
            import resource
            for name in ("FSIZE", "NOFILE", "NPROC", "STACK"):
                resource.setrlimit(getattr(resource, "RLIMIT_" + name), (0, 0))
            def f(x): return 3
            """,
        outcomes=ends("failed", "crash"),
    ),
    Hack(
        name="no time by its own wish",
        idea="sets its cpu limit to nothing and runs into it",
        program="""
            import resource
            resource.setrlimit(resource.RLIMIT_CPU, (0, 0))
            def f(x):
                while True: pass
            """,
        outcomes=ends("crash", "timeout"),
    ),
    Hack(
        name="no memory by its own wish",
        idea="sets its address space to nothing, so that no reply can be made",
        program="""
            import resource
            resource.setrlimit(resource.RLIMIT_AS, (1, 1))
            def f(x): return bytearray(1 << 26)
            """,
        outcomes=ends("memory", "crash"),
    ),
    Hack(
        name="closes standard streams",
        idea="closes 0, 1 and 2 and the objects around them, and then fails",
        program="""
            import os, sys
            for stream in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__):
                stream.close()
            os.closerange(0, 3)
            def f(x): return 3
            """,
        outcomes=ends("failed", "error", "crash"),
    ),
    Hack(
        name="closes everything",
        idea="closes every descriptor, the conversation's own among them",
        program="import os\ndef f(x): os.closerange(0, 256)",
        outcomes=_GONE,
    ),
    Hack(
        name="a hole in memory",
        idea="reads address nothing, with a handler for the fault that exits with success",
        program="""
            import ctypes, faulthandler, os, signal
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)
            def f(x): ctypes.string_at(0)
            """,
        outcomes=_GONE,
    ),
    Hack(
        name="the stack runs over",
        idea="recursion without a limit, into the guard page",
        program="""
            import sys
            sys.setrecursionlimit(10**9)
            class Deep:
                def __getattr__(self, name): return getattr(self, name + "x")
            def f(x): return repr(Deep().a)
            """,
        outcomes=ends("crash", "memory", "error", "timeout"),
    ),
    Hack(
        name="the interpreter is finalised",
        idea="calls Py_FinalizeEx and Py_Exit of the running interpreter",
        program="import ctypes\ndef f(x): ctypes.pythonapi.Py_Exit(0)",
        outcomes=_GONE,
    ),
    Hack(
        name="a daemon stays",
        idea="a grandchild with another session, all signals ignored, holds all descriptors",
        program="""
            import os, signal, time
            def f(x):
                if os.fork() == 0:
                    os.setsid()
                    for n in range(1, 65):
                        try: signal.signal(n, signal.SIG_IGN)
                        except (OSError, ValueError): pass
                    if os.fork() == 0:
                        os.execv("/bin/sleep", ["sleep @MARK@", "1000"])
                    time.sleep(1000)
                os._exit(0)
            """,
        outcomes=ends("crash", "timeout"),
    ),
    Hack(
        name="program: says nothing",
        idea="a program that ends with success before it has written anything",
        program="import os\nos._exit(0)",
        exam=ADDS_ONE_STDIO,
        outcomes=ends("failed"),
    ),
    Hack(
        name="program: right, and then not",
        idea="a program that writes what is wanted and ends with a status that says otherwise",
        program="import sys\nprint(int(input()) + 1)\nsys.exit(1)",
        exam=ADDS_ONE_STDIO,
        outcomes=ends("error"),
    ),
    Hack(
        name="program: kills who waits for it",
        idea="a shell script that kills its parent, its group and everybody else",
        program="kill -9 $PPID; kill -9 -1; kill -9 0; exit 0",
        exam=ADDS_ONE_SHELL,
        outcomes=ends("crash", "failed", "error"),
    ),
    Hack(
        name="class: exits in a dunder",
        idea="os._exit(0) where the tests ask for a length or a truth",
        program="""
            import os
            class Stack:
                def __len__(self): os._exit(0)
                def __bool__(self): os._exit(0)
            """,
        exam=STACK,
        outcomes=_GONE,
    ),
    Hack(
        name="class: SystemExit in a property",
        idea="SystemExit out of attribute access, construction and comparison",
        program="""
            import sys
            class Stack:
                def __init__(self): sys.exit(0)
                def __getattribute__(self, name): sys.exit(0)
                def __eq__(self, other): sys.exit(0)
            """,
        exam=STACK,
        outcomes=_REFUSED,
    ),
]
