"""Programs that want to talk to somebody: in every family of addresses, and by what they hold."""

from __future__ import annotations

from tests.hacks.tricks import hack

HACKS = [
    hack(
        "TCP to the machine itself",
        "connects to services of the machine it runs on",
        """
        def attempt():
            import socket
            reach = lambda port: socket.create_connection(("127.0.0.1", port), 0.1)
            return tries(reach, *[(port,) for port in (22, 53, 80, 443, 2375, 5000, 8000, 8080)])
        """,
    ),
    hack(
        "a socket of the internet",
        "asks only for a socket, of every type",
        """
        def attempt():
            import socket
            kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)
            return tries(lambda kind: socket.socket(socket.AF_INET, kind), *[(k,) for k in kinds])
        """,
    ),
    hack(
        "a socket of IPv6",
        "hopes that only the old internet is closed",
        """
        def attempt():
            import socket
            kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)
            return tries(lambda kind: socket.socket(socket.AF_INET6, kind), *[(k,) for k in kinds])
        """,
    ),
    hack(
        "the metadata service",
        "asks the link-local addresses where clouds keep credentials of machines",
        """
        def attempt():
            import socket
            hosts = (("169.254.169.254", 80),), (("169.254.170.2", 80),), (("fd00:ec2::254", 80),)
            return tries(lambda host: socket.create_connection(host, 0.2), *hosts)
        """,
    ),
    hack(
        "a name asked for",
        "carries data out in the names that it has resolved",
        """
        def attempt():
            import socket
            resolve = lambda name: socket.getaddrinfo(name, 80)
            return tries(resolve, ("@MARK@.example.com",), ("localhost",)) or resolve("a")
        """,
    ),
    hack(
        "the engine's socket",
        "asks the container engine for a container with the host's root in it",
        """
        def attempt():
            import socket
            def reach(path):
                socket.socket(socket.AF_UNIX).connect(path)
                return True
            paths = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock",
                     "/run/podman/podman.sock", "/run/dbus/system_bus_socket", "/dev/log",
                     "/run/systemd/private", "/dev/shm/link")
            return tries(reach, *[(path,) for path in paths])
        """,
    ),
    hack(
        "a socket with a path",
        "listens in its folder for a neighbour to call",
        """
        def attempt():
            import socket
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("@MARK@")
                listener.listen()
            return True
        """,
    ),
    hack(
        "a socket without a path",
        "listens under an abstract name, which no file system guards",
        """
        def attempt():
            import socket
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("\\0@MARK@")
                listener.listen()
            return True
        """,
    ),
    hack(
        "netlink",
        "asks the kernel for addresses and routes",
        """
        def attempt():
            import socket
            protocols = range(0, 22)
            make = lambda protocol: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
            return tries(make, *[(protocol,) for protocol in protocols])
        """,
    ),
    hack(
        "packets",
        "listens to whatever passes the interfaces",
        """
        def attempt():
            import socket
            return tries(lambda kind: socket.socket(socket.AF_PACKET, kind, 0x300),
                         (socket.SOCK_RAW,), (socket.SOCK_DGRAM,))
        """,
    ),
    hack(
        "the hypervisor",
        "talks to the host of a virtual machine by vsock",
        """
        def attempt():
            import socket
            def reach(cid, port):
                with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as sock:
                    sock.settimeout(0.1)
                    sock.connect((cid, port))
                return True
            return tries(reach, *[(cid, port) for cid in (0, 1, 2) for port in (52, 1024)])
        """,
    ),
    hack(
        "every other family",
        "tries the families that nobody thinks of, by number",
        """
        def attempt():
            kinds = [(family, kind) for family in range(46) for kind in (1, 2, 3, 5)]
            return tries(lambda family, kind: call("socket", family, kind, 0) >= 0, *kinds)
        """,
    ),
    hack(
        "the judge's socket turned round",
        "gives the socket that it was started with a name, and another peer",
        """
        def attempt():
            import socket, stat
            def is_socket(fd):
                try:
                    return stat.S_ISSOCK(os.fstat(fd).st_mode)
                except OSError:
                    return False
            mine = socket.socket(fileno=os.dup(next(filter(is_socket, range(3, 64)))))
            by = lambda act, name: act(name) is None
            names = [(act, name) for act in (mine.connect, mine.bind)
                     for name in ("\\0@MARK@", "/dev/shm/link", "@MARK@")]
            return tries(by, *names)
        """,
    ),
    hack(
        "a pair that takes letters",
        "names one end of a socket pair, for a neighbour to write to",
        """
        def attempt():
            import socket
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            ours.bind("\\0@MARK@")
            return ours.getsockname()
        """,
    ),
    hack(
        "a name nobody gave",
        "has the kernel name its end of a pair, lets go of the other end, and waits for letters",
        """
        def attempt():
            import socket
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            theirs.close()
            try:
                ours.send(b"x")
            except ConnectionRefusedError:
                pass
            return ours.getsockname()
        """,
    ),
]
