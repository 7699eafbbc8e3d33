"""The machine below the sandboxes: a secret in every place where one could leak, and its state before and after."""

import ctypes
import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_SETTINGS = (
    "kernel/core_pattern", "kernel/modprobe", "kernel/sysrq", "kernel/randomize_va_space", "kernel/printk",
    "kernel/shmmax", "vm/overcommit_memory", "vm/swappiness", "fs/protected_hardlinks", "net/ipv4/ip_forward",
    "net/ipv4/ip_default_ttl",
)  # fmt: skip
_OTHERS = ("/var/lib/docker", "/run/docker", "/tmp", "/var/tmp", "/proc/sys/fs/binfmt_misc")
"""Where mounts come and go by the engine and by other tests."""
_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/usr", "/")


def children(pid: int) -> list[int]:
    """Of all threads of a process."""
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for children in listed for child in children.read_text().split()]


@dataclass(frozen=True)
class Host:
    """`facts`: what stands for @NAME@ in an attempt. `served`: the callers that our listeners have had."""

    secret: str
    facts: Mapping[str, str]
    served: list[str]

    def fill(self, text: str) -> str:
        for name, value in self.facts.items():
            text = text.replace(f"@{name}@", value)
        return text

    def state(self) -> dict[str, object]:
        return {
            **state(self.facts["CANARY"], self.facts["NONCE"], int(self.facts["VICTIM"])),
            "served": list(self.served),
        }


def state(canary: str, nonce: str, victim: int) -> dict[str, object]:
    """What an escape could have changed, as plain data."""
    return {
        "canary": {str(path): _file(path) for path in sorted(Path(canary).rglob("*"))},
        "named": _named(nonce),
        "host": [socket.gethostname(), Path("/proc/sys/kernel/domainname").read_text()],
        "clock": round(time.time() - time.clock_gettime(time.CLOCK_MONOTONIC_RAW), -1),
        "settings": {name: _text(Path("/proc/sys", name)) for name in _SETTINGS},
        "mounts": sorted({point for line in _text(Path("/proc/self/mountinfo")).splitlines()
                          if not (point := line.split()[4]).startswith(_OTHERS)}),
        "swaps": _text(Path("/proc/swaps")),
        "victim": _process(victim),
        "accounts": [_text(Path("/etc", name)) for name in ("passwd", "group", "hosts", "resolv.conf")],
    }  # fmt: skip


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The names of what differs. The clock may be slewed while the tests run."""
    same = {"clock"} if abs(float(str(before["clock"])) - float(str(after["clock"]))) <= 10 else set()
    return [name for name in before if before[name] != after[name] and name not in same]


@contextmanager
def prepared() -> Iterator[Host]:
    """A host with a secret in a file, in a process's environment, arguments, directory and descriptors, behind
    listeners, and in shared memory; everything is gone afterwards."""
    secret, nonce = f"secret-{secrets.token_hex(12)}", f"way-{secrets.token_hex(6)}"
    with ExitStack() as stack:
        canary = stack.enter_context(_canary(nonce, secret))
        served: list[str] = []
        loud = _listen(socket.AF_INET6, ("::", 0), secret, served, stack)
        _listen(socket.AF_UNIX, f"\0{nonce}", secret, served, stack)
        _listen(socket.AF_UNIX, f"{canary}/socket", secret, served, stack)
        shared = Path("/dev/shm", f"shm-{nonce}")
        shared.write_text(secret)
        stack.callback(shared.unlink)
        victim = _victim(canary, nonce, secret)
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        key = secrets.randbelow(1 << 30) | 1
        stack.callback(_shared_memory(key, secret))
        port = loud.getsockname()[1]
        shadow = hashlib.sha256(Path("/etc/shadow").read_bytes()).hexdigest() if os.getuid() == 0 else "none"
        facts = {
            "CANARY": str(canary), "NONCE": nonce, "PORT": str(port), "PORTHEX": format(port, "04X"),
            "ABSTRACT": nonce, "SHM": shared.name, "VICTIM": str(victim.pid), "IPCKEY": str(key),
            "IPCHEX": format(key, "08x"), "SHADOW": shadow, "HOME": str(Path.home()), "KEY": nonce,
            "ADDRESS": _address(), "GATEWAY": _gateway(), "CHECKOUT": str(Path(__file__).parents[2]),
        }  # fmt: skip
        for place in _PLACES:
            stack.callback(Path(place, nonce).unlink, missing_ok=True)
        yield Host(secret, facts, served)


def state_after(mutation: str, host: Host) -> dict[str, object]:
    """What `state` tells where a shell command has changed something: in namespaces of its own."""
    facts = (host.facts["CANARY"], host.facts["NONCE"], host.facts["VICTIM"])
    look = f"{sys.executable} {__file__} {' '.join(facts)}"
    namespaces = ["--mount", "--uts", "--ipc"] + ([] if "/dev/tcp" in mutation else ["--net"])
    command = ["unshare", *namespaces, "/bin/bash", "-c", f"{{ {mutation}; }} >&2; {look}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return {**found, "served": list(host.served)}


@contextmanager
def _canary(nonce: str, secret: str) -> Iterator[Path]:
    folder = Path(tempfile.gettempdir(), f"host-{nonce}")
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    (folder / "secret").write_text(secret)
    (folder / "secret").chmod(0o666)
    (folder / "other").write_text("as it was")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _listen(
    family: socket.AddressFamily, address: object, secret: str, served: list[str], stack: ExitStack
) -> socket.socket:
    listener = socket.socket(family)
    stack.callback(listener.close)
    listener.bind(address)  # type: ignore[arg-type]
    listener.listen(16)

    def serve() -> None:
        while True:
            try:
                peer, caller = listener.accept()
            except OSError:
                return
            with peer:
                served.append(f"{family.name} {caller!r:.60}")
                peer.sendall(secret.encode())

    stack.callback(listener.shutdown, socket.SHUT_RDWR)
    threading.Thread(target=serve, daemon=True).start()
    return listener


def _victim(canary: Path, nonce: str, secret: str) -> "subprocess.Popen[bytes]":
    """A process of the uid that the agents have outside, which holds the secret in every way that a process can."""
    command = ["/bin/bash", "-c", f"exec 9<{canary}/secret; exec -a victim-{nonce}-{secret} sleep 1000"]
    outside = 65534 if os.getuid() == 0 else None
    victim = subprocess.Popen(command, cwd=canary, env={"SECRET": secret, "PATH": os.defpath}, user=outside)
    while _text(Path(f"/proc/{victim.pid}/comm")) != "sleep\n":
        assert victim.poll() is None
        time.sleep(0.01)
    return victim


def _shared_memory(key: int, secret: str) -> Callable[[], object]:
    """Returns what removes it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmget(key, 4096, 0o1666)
    at = libc.shmat(segment, None, 0)
    ctypes.memmove(at, secret.encode(), len(secret))
    libc.shmdt(ctypes.c_void_p(at))
    return lambda: libc.shmctl(segment, 0, None)


def _named(nonce: str) -> list[str]:
    return [f"{place}/{nonce}" for place in _PLACES if os.path.lexists(f"{place}/{nonce}")]


def _file(path: Path) -> list[object]:
    info = path.lstat()
    content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(info.st_mode) else ""
    return [info.st_mode, info.st_uid, info.st_nlink, info.st_ino, content]


def _process(pid: int) -> list[str]:
    """Whether it is stopped, its parent, nice, scheduling policy, and what it is called."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (
        [
            "stopped" if fields[0] in "TtZX" else "",
            fields[1],
            fields[16],
            fields[38],
            _text(Path(f"/proc/{pid}/oom_score_adj")),
        ]
        if fields
        else []
    )


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _address() -> str:
    """Of this machine, towards the world; loopback where it has no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        found: str = probe.getsockname()[0]
        return found


def _gateway() -> str:
    for line in _text(Path("/proc/net/route")).splitlines()[1:]:
        _, destination, gateway, *_ = line.split()
        if destination == "00000000":
            return socket.inet_ntoa(bytes.fromhex(gateway)[::-1])
    return "172.17.0.1"


if __name__ == "__main__":
    print(json.dumps(state(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
