"""Processes: starts them on one core, measures them by the kernel's accounting, ends them by their ids."""

import ctypes
import os
import signal
import socket
import struct
import subprocess
import time

SERVER_CORE, LOAD_CORE = 0, 1
TICK = os.sysconf("SC_CLK_TCK")


def pin(*cores):
    """Runs in a child before exec: pins it to these cores, and makes the kernel end it when we end."""

    def prepare():
        os.sched_setaffinity(0, cores)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    return prepare


def stat(pid):
    """The fields of /proc/PID/stat after the name, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(root):
    """The ids of a process and all its descendants."""
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = stat(pid)
        if fields:
            children.setdefault(int(fields[1]), []).append(int(pid))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu(root):
    """Seconds of CPU that a process tree has used: (all, user, system). `all` is exact to the nanosecond if the kernel
    provides it; user and system are counted in ticks. Children that were waited for count, too."""
    exact = user = system = 0.0
    for pid in tree(root):
        fields = stat(pid)
        if not fields:
            continue
        user += (int(fields[11]) + int(fields[13])) / TICK
        system += (int(fields[12]) + int(fields[14])) / TICK
        exact += (int(fields[13]) + int(fields[14])) / TICK
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                    exact += int(file.read().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            pass
    return exact, user, system


def resident(root):
    """MiB of memory that a process tree holds; shared memory counts once for each process."""
    total = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / 1024


def free_port():
    """A port that is free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port


def query(name, number):
    """A query for A with EDNS."""
    wire = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 1) + wire + b"\0\0\1\0\1" + opt


def ask(port, name, tcp=False, patience=1.0):
    """The reply, or None."""
    packet = query(name, os.getpid() & 0xFFFF)
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(patience)
        try:
            sock.connect(("127.0.0.1", port))
            if not tcp:
                sock.send(packet)
                return sock.recv(4096)
            sock.sendall(struct.pack("!H", len(packet)) + packet)
            size = struct.unpack("!H", read(sock, 2))[0]
            return read(sock, size)
        except (OSError, EOFError):
            return None


def read(sock, size):
    """Reads exactly `size` bytes."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class Server:
    """A running server."""

    def __init__(self, peer, where):
        self.peer, self.where, self.port = peer, where, free_port()
        os.makedirs(where, exist_ok=True)
        for name, text in peer.files(self.port).items():
            with open(os.path.join(where, name), "w", encoding="utf-8") as file:
                file.write(text.replace("{where}", where))
        self.log = open(os.path.join(where, "log"), "wb")
        environment = dict(os.environ, GOMAXPROCS="1")
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            peer.command(self.port, where),
            cwd=where,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            preexec_fn=pin(*peer.cores),
        )
        self.ready = None

    def wait_until(self, name, patience):
        """Waits for the first reply; returns whether there was one."""
        while time.monotonic() - self.began < patience and self.process.poll() is None:
            if ask(self.port, name, patience=0.2):
                self.ready = time.monotonic() - self.began
                return True
            time.sleep(0.02)
        return False

    def stop(self):
        """Ends the process and its descendants, by their ids."""
        family = tree(self.process.pid) if self.process.poll() is None else []
        started = {pid: fields[19] for pid in family if (fields := stat(pid))}
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid, birth in started.items():
            fields = stat(pid)
            if fields and fields[19] == birth and fields[0] != "Z":
                os.kill(pid, signal.SIGKILL)
        self.log.close()
