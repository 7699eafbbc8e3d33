# ruff: noqa: E501  a program is one line
"""Ways out of a sandbox, as data: what is tried, and what would prove that it worked.

Each program exits with 0 if and only if it got what it wanted, or prints the host's secret. `control` says where the same
program, unconfined, does win: `host` as root on this machine (harmless there), `scratch` as root in namespaces of its
own; without one it must not be carried out for real. In programs, @NAME@ is a fact of the host (`host.Host.facts`), and
@TMP@ a folder of the attempts' own. All of an account's run in one process (`escape_driver`), each in a child of it.
"""

from dataclasses import dataclass
from typing import Literal, cast

Control = Literal["host", "scratch", ""]
BOTH = ("agent", "root")


@dataclass(frozen=True)
class Attempt:
    """`accounts`: as whom it is tried; root only where the launcher has accounts. `read`: a path that the host reads
    afterwards (Sandbox.read), and in which the secret must not be."""

    name: str
    program: str
    control: Control = ""
    accounts: tuple[str, ...] = BOTH
    read: str = ""
    secret: bool = False
    """It wins by printing the host's secret, and not by its exit code."""
    python: bool = False
    """Else it is for bash. A Python program has what `escape_driver.PRELUDE` defines."""


def _python(name: str, program: str, control: Control = "", **more: object) -> Attempt:
    return Attempt(name, program, control, python=True, **more)  # type: ignore[arg-type]


def _call(name: str, expression: str, control: Control = "", **more: object) -> Attempt:
    """A call that returns nothing negative where it is permitted."""
    return _python(name, f"won({expression} >= 0)", control, **more)


MOUNTS = (
    _call("mount-tmpfs", 'libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)', "scratch"),
    _call(
        "mount-bind", 'libc.mount(b"/etc", b"/mnt" if os.path.isdir("/mnt") else b"/tmp", None, 4096, None)', "scratch"
    ),
    _call("mount-proc", 'libc.mount(b"proc", b"/tmp", b"proc", 0, None)', "scratch"),
    _call("mount-debugfs", 'libc.mount(b"debugfs", b"/tmp", b"debugfs", 0, None)'),
    _call("mount-writable-again", 'libc.mount(None, b"/proc", None, 32 | 4096, None)', "scratch"),
    _call("mount-cgroup", 'libc.mount(b"cgroup", b"/tmp", b"cgroup", 0, b"none,name=way-out")'),
    _call("umount", 'libc.umount2(b"/proc", 2)', "scratch"),
    _call("mount-by-descriptor", 'call(430, ctypes.c_char_p(b"tmpfs"), 0)', "scratch"),
    _call("clone-a-mount", 'call(428, -100, ctypes.c_char_p(b"/"), 1)', "scratch"),
    _call("pick-a-file-system", 'call(433, -100, ctypes.c_char_p(b"/proc"), 0)', "scratch"),
    _call(
        "change-a-mount",
        'call(442, -100, ctypes.c_char_p(b"/proc"), 0, struct.pack("=QQQQ", 8, 0, 0, 0), 32)',
        "scratch",
    ),
    _call("chroot", 'libc.chroot(b"/tmp")', "scratch"),
    _python(
        "chroot-and-climb",
        'os.mkdir("@TMP@/cage"); os.chroot("@TMP@/cage"); os.chdir("../../../../.."); won(os.path.exists("etc"))',
        "scratch",
    ),
    _call("pivot-root", 'call(155, ctypes.c_char_p(b"/tmp"), ctypes.c_char_p(b"/tmp"))'),
    Attempt(
        "mount-a-disk",
        "for d in /dev/[svx]d[a-z]*; do mknod @TMP@/disk b $((0x$(stat -c %t $d))) $((0x$(stat -c %T $d))); done; mount @TMP@/disk /mnt",
    ),
    Attempt("climb-out-of-root", "cd / && cat ../../../../../@CANARY@/secret", secret=True, control="host"),
)

PROC = (
    Attempt("proc-1-root", "cat /proc/1/root@CANARY@/secret", secret=True),
    Attempt("proc-any-root", "cat /proc/[0-9]*/root@CANARY@/secret", secret=True, control="host"),
    Attempt("proc-any-cwd", "cat /proc/[0-9]*/cwd/secret", secret=True, control="host"),
    Attempt("proc-any-environment", "cat /proc/[0-9]*/environ", secret=True, control="host"),
    Attempt("proc-any-command", "cat /proc/[0-9]*/cmdline", secret=True, control="host"),
    Attempt(
        "proc-any-descriptor",
        "for f in /proc/[0-9]*/fd/9; do [ -f $f ] && head -c 300 $f; done; false",
        secret=True,
        control="host",
    ),
    Attempt("proc-1-environment", "[ $(cat /proc/1/environ | wc -c) -gt 0 ]", control="scratch"),
    Attempt("proc-1-maps", "[ $(cat /proc/1/maps | wc -c) -gt 0 ]", control="scratch"),
    Attempt("proc-1-descriptors", "readlink /proc/1/fd/* | grep -q .", control="scratch"),
    Attempt("proc-1-executable", "readlink /proc/1/exe | grep -q /", control="scratch"),
    Attempt("proc-1-stack", "cat /proc/1/stack | grep -q .", control="scratch"),
    Attempt("proc-1-namespaces", "readlink /proc/1/ns/mnt | grep -q mnt", control="scratch"),
    Attempt("proc-1-write-stdin", ": > /proc/1/fd/0", control="scratch"),
    Attempt(
        "proc-1-write-output",
        'for n in $(seq 0 63); do printf \'\\000\\000\\000\\010{"ok":1}\' > /proc/1/fd/$n && w=1; done 2>/dev/null; [ "$w" ]',
    ),
    _python(
        "proc-1-memory-read",
        'm = open("/proc/1/maps").readline().split("-")[0]; f = open("/proc/1/mem", "rb"); f.seek(int(m, 16)); won(f.read(4))',
        "scratch",
    ),
    _python("proc-1-memory-open-for-writing", 'won(os.open("/proc/1/mem", os.O_RDWR) >= 0)', "scratch"),
    Attempt("proc-1-oom", "echo 999 > /proc/1/oom_score_adj", control="scratch", accounts=("agent",)),
    Attempt("proc-1-name", "echo renamed > /proc/1/comm"),
    Attempt("proc-1-user-map", "cat /proc/1/uid_map > /proc/1/uid_map || echo '0 0 1' > /proc/self/uid_map"),
    Attempt(
        "settings-of-the-kernel",
        "for f in $(find /proc/sys -type f -writable 2>/dev/null); do v=$(cat $f) && printf '%s' \"$v\" > $f && exit 0; done; exit 1",
        control="host",
    ),
    Attempt("core-pattern", ": >> /proc/sys/kernel/core_pattern", control="host"),
    Attempt("modprobe-path", ": >> /proc/sys/kernel/modprobe"),
    Attempt("sysrq", ": >> /proc/sysrq-trigger"),
    Attempt("drop-caches", ": >> /proc/sys/vm/drop_caches", control="host"),
    Attempt("binary-formats", ": >> /proc/sys/fs/binfmt_misc/register"),
    Attempt("kernel-memory", "[ $(head -c 64 /proc/kcore | wc -c) = 64 ]"),
    Attempt("kernel-addresses", "head -1 /proc/kallsyms | grep -qv '^0000000000000000 '"),
    Attempt("kernel-page-map", "[ $(head -c 8 /proc/kpagecount | wc -c) = 8 ]", control="host", accounts=("agent",)),
    Attempt("kernel-messages", "dmesg | grep -q . || timeout 1 head -c 10 /proc/kmsg | grep -q .", control="host"),
    Attempt("writable-sys", "find /sys -maxdepth 4 -type f -writable 2>/dev/null | grep -q .", control="host"),
    Attempt("uevent-helper", "echo /tmp/x > /sys/kernel/uevent_helper"),
    Attempt("power-state", ": >> /sys/power/state"),
)

NAMESPACES = (
    *(
        _call(f"unshare-{name}", f"libc.unshare({flag})", "scratch")
        for name, flag in (
            ("user", 0x10000000),
            ("mount", 0x20000),
            ("net", 0x40000000),
            ("pid", 0x20000000),
            ("uts", 0x4000000),
            ("ipc", 0x8000000),
            ("cgroup", 0x2000000),
            ("time", 0x80),
        )
    ),
    *(
        _python(
            f"clone-{name}",
            f"pid = call(56, {flag} | 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)\nwon(pid > 0)",
            "scratch",
        )
        for name, flag in (("user", 0x10000000), ("net", 0x40000000), ("everything", 0x7E020000))
    ),
    _python(
        "clone3-user",
        'pid = call(435, struct.pack("=8Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64)\nif pid == 0: os._exit(0)\nwon(pid > 0)',
        "scratch",
    ),
    _call("enter-the-first-mounts", 'libc.setns(os.open("/proc/1/ns/mnt", 0), 0)', "scratch"),
    _call("enter-its-own-network", 'libc.setns(os.open("/proc/self/ns/net", 0), 0)', "scratch"),
    _call("enter-by-pidfd", "libc.setns(call(434, 1, 0), 0x20000)", "scratch"),
    Attempt("nsenter", "nsenter -t 1 -a true", control="scratch"),
    Attempt("unshare-command", "unshare -Ur true", control="scratch"),
)

IDENTITY = (
    _python("become-root", "os.setresuid(0, 0, 0); won(os.getuid() == 0)", "scratch", accounts=("agent",)),
    Attempt("su", "[ \"$(timeout 0.5 su root -c 'id -u' </dev/null)\" = 0 ]", control="host", accounts=("agent",)),
    Attempt("sudo", '[ "$(sudo -n id -u)" = 0 ]', accounts=("agent",)),
    Attempt(
        "setuid-shell",
        "cp /bin/bash @TMP@/rise; chown root @TMP@/rise; chmod 4755 @TMP@/rise; [ \"$(@TMP@/rise -p -c 'id -u')\" = 0 ]",
        control="scratch",
        accounts=("agent",),
    ),
    _call(
        "file-capability",
        'libc.setxattr(open("@TMP@/cap", "w").name.encode(), b"security.capability", struct.pack("=5I", 0x02000001, 1 << 21, 0, 0, 0), 20, 0)',
        "scratch",
    ),
    _python(
        "raise-capabilities",
        'libc.capset(struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", *[0xFFFFFFFF] * 6)); won("CapEff:\\t0000000000000000" not in open("/proc/self/status").read())',
        "scratch",
    ),
    _call("ambient-capability", "libc.prctl(47, 2, 21, 0, 0)"),
    _python(
        "new-privileges",
        'libc.prctl(38, 0, 0, 0, 0); won("NoNewPrivs:\\t0" in open("/proc/self/status").read())',
        "host",
    ),
    _python(
        "lift-the-filter", 'libc.prctl(22, 0, 0, 0, 0); won("Seccomp:\\t0" in open("/proc/self/status").read())', "host"
    ),
    _python(
        "raise-limits", "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2); won(True)", "host"
    ),
    _python("more-priority", "os.nice(-5); won(True)", "host"),
    _python("real-time", "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); won(True)"),
    Attempt("write-accounts", "echo 'x::0:0::/:/bin/sh' >> /etc/passwd", accounts=("agent",)),
    Attempt(
        "replace-a-program",
        "echo exit >> /usr/bin/env || cp /bin/true /usr/bin/env || echo > /usr/local/sbin/init",
        accounts=("agent",),
    ),
)

SUPERVISOR = (
    _python(
        "ptrace-attach",
        "yes = libc.ptrace(16, 1, None, None) >= 0\nif yes: os.waitpid(1, 0x40000000); libc.ptrace(17, 1, None, None)\nwon(yes)",
        "scratch",
    ),
    _call("ptrace-seize", "libc.ptrace(0x4206, 1, None, None)", "scratch"),
    _python(
        "read-its-memory",
        'b = ctypes.create_string_buffer(8); at = int(open("/proc/1/maps").readline().split("-")[0], 16) if os.access("/proc/1/maps", 4) else 0x400000\nwon(call(310, 1, struct.pack("=QQ", ctypes.addressof(b), 8), 1, struct.pack("=QQ", at, 8), 1, 0) > 0)',
        "scratch",
    ),
    _python(
        "write-its-memory",
        'b = ctypes.create_string_buffer(8); won(call(311, 1, struct.pack("=QQ", ctypes.addressof(b), 8), 1, struct.pack("=QQ", 0x7FFFFFFDE000, 8), 1, 0) > 0)',
    ),
    _call("steal-a-descriptor", "call(438, call(434, 1, 0), 0, 0)", "scratch"),
    _call("its-limits", 'call(302, 1, 7, struct.pack("=QQ", 0, 0), 0)'),
    _call("its-priority", "libc.setpriority(0, 1, 19)", "scratch"),
    _call("its-processor", 'call(203, 1, 8, struct.pack("=Q", 1))', "scratch"),
    _call("its-scheduler", 'call(144, 1, 5, struct.pack("=i", 0))', "scratch"),
    _call("its-disk-priority", "call(251, 1, 1, 3 << 13)", "scratch"),
    _call("its-pages", "call(256, 1, 64, struct.pack('=Q', 1), struct.pack('=Q', 1))", "scratch"),
    _call("its-group", "libc.setpgid(1, 0)"),
    _call("compare-with-it", "call(312, 1, os.getpid(), 2, 0, 0)", "scratch"),
    _call("watch-its-performance", 'call(298, struct.pack("=IIQQQQQ72x", 1, 120, 0, 0, 0, 0, 0), 1, -1, -1, 0)'),
    Attempt("inherited-descriptors", "[ $(ls /proc/self/fd | wc -l) -gt 4 ]"),
    _python(
        "write-to-all-descriptors",
        'frame = struct.pack(">I", 8) + b\'{"ok":1}\'\nhit = 0\nfor fd in range(3, 1024):\n    try: hit += os.write(fd, frame)\n    except OSError: pass\nwon(hit)',
    ),
    Attempt(
        "forged-frames",
        "printf '\\000\\000\\000\\020{\"error\": \"gone\"}'; printf '\\377\\377\\377\\377' >&2; printf '\\001\\000\\000\\000\\000\\000\\000\\001x'; exit 1",
    ),
)

KERNEL = (
    _call("bpf-map", 'call(321, 0, struct.pack("=5I108x", 2, 4, 4, 1, 0), 128)', "scratch"),
    _call("bpf-command", "call(321, 11, bytes(128), 128)"),
    _call("userfaultfd", "call(323, 0)", "scratch"),
    _call("io-uring", "call(425, 1, bytes(120))", "scratch"),
    _call(
        "keyring-add",
        'call(248, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"k"), ctypes.c_char_p(b"v"), 1, -2)',
        "scratch",
    ),
    _call("keyring-of-the-user", "call(250, 0, -4, 1)", "scratch"),
    _call("keyring-request", 'call(249, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"@KEY@"), 0, 0)'),
    _call("module-load", 'call(175, bytes(64), 64, ctypes.c_char_p(b""))'),
    _call("module-load-file", 'call(313, os.open("/bin/true", 0), ctypes.c_char_p(b""), 0)'),
    _call("module-remove", 'call(176, ctypes.c_char_p(b"no_such_module"), 0)'),
    _call("kexec", "call(246, 0, 0, 0, 0)"),
    _call("reboot", "call(169, 0xFEE1DEAD, 672274793, 0, 0)"),
    _call("swap-off", 'call(168, ctypes.c_char_p(b"/dev/none"))'),
    _call("accounting", "call(163, 0)"),
    _call("ports", "call(172, 3)"),
    _call("quota", "call(179, 0x800005 << 8, 0, 0, bytes(256))"),
    _python(
        "file-by-handle",
        'handle, where = ctypes.create_string_buffer(struct.pack("=Ii128x", 128, 0)), ctypes.c_int()\n'
        'call(303, -100, ctypes.c_char_p(b"/tmp"), handle, ctypes.byref(where), 0)\n'
        'won(call(304, os.open("/tmp", 0), handle, 0) >= 0)',
        "scratch",
    ),
    _call("watch-everything", "call(300, 0x4, 0)"),
    _call("messages-of-the-kernel", "call(103, 10, 0, 0)", "host"),
    _call("clear-messages", "call(103, 8, 0, 7)"),
    _call("hidden-memory", "call(447, 0)"),
    _call("type-into-a-terminal", 'fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), 0x5412, b"x") and 0'),
    _call("hang-up", "libc.vhangup()"),
)

DEVICES = (
    *(
        Attempt(f"device-{name}", f"mknod @TMP@/{name} {kind} {major} {minor} && {{ head -c 1 @TMP@/{name} >/dev/null || : >> @TMP@/{name}; }}", cast(Control, control))
        for name, kind, major, minor, control in (
            ("mem", "c", 1, 1, ""), ("port", "c", 1, 4, ""), ("kmsg", "c", 1, 11, "scratch"), ("disk", "b", 254, 0, ""),
            ("loop", "b", 7, 0, ""), ("fuse", "c", 10, 229, ""), ("kvm", "c", 10, 232, ""), ("console", "c", 5, 1, ""),
            ("zero", "c", 1, 5, "scratch"),
        )
    ),
    Attempt("devices-that-are-there", "find /dev \\( -type b -o -type c \\) ! -path '/dev/pts/*' 2>/dev/null | grep -vE '^/dev/(null|zero|full|random|urandom|tty)$' | grep -q .", control="host"),
    Attempt("terminals-that-are-there", "ls /dev/pts 2>/dev/null | grep -v ptmx | grep -q ."),
    Attempt("kernel-log-device", "[ -c /dev/kmsg ] && echo way-out-@NONCE@ > /dev/kmsg"),
)  # fmt: skip

GROUPS = (
    Attempt("cgroup-writable", "find /sys/fs/cgroup -writable 2>/dev/null | grep -q .", control="host"),
    Attempt(
        "cgroup-release-agent",
        'for f in $(find /sys/fs/cgroup -name release_agent 2>/dev/null); do echo /tmp/x > $f && w=1; done; [ "$w" ]',
    ),
    Attempt(
        "cgroup-notify",
        'for f in $(find /sys/fs/cgroup -maxdepth 2 -name notify_on_release 2>/dev/null); do echo 1 > $f && w=1; done; [ "$w" ]',
    ),
    Attempt("cgroup-new", 'for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/way-out && w=1; done; [ "$w" ]'),
    Attempt(
        "cgroup-limits",
        'for f in $(find /sys/fs/cgroup -name memory.max -o -name memory.limit_in_bytes -o -name pids.max 2>/dev/null); do echo 999999999999 > $f && w=1; done; [ "$w" ]',
    ),
    Attempt(
        "cgroup-others",
        'for f in $(find /sys/fs/cgroup -name cgroup.procs 2>/dev/null); do echo $$ > $f && w=1; done; [ "$w" ]',
    ),
)

NETWORK = (
    *(
        Attempt(f"host-on-{name}", f"exec 3<>/dev/tcp/{address}/@PORT@ && timeout 0.4 cat <&3", cast(Control, control), accounts=("agent",), secret=True)
        for name, address, control in (
            ("loopback", "127.0.0.1", "host"), ("localhost", "localhost", "host"), ("ipv6", "::1", "host"),
            ("zero", "0.0.0.0", "host"), ("its-address", "@ADDRESS@", "host"), ("the-bridge", "172.17.0.1", ""),
            ("the-gateway", "@GATEWAY@", ""), ("an-alias", "host.docker.internal", ""), ("short", "127.1", "host"),
        )
    ),
    Attempt("metadata-service", "curl -s -m 2 http://169.254.169.254/latest/meta-data/ | grep -qiE 'ami-id|instance-id|iam'"),
    Attempt("metadata-by-name", "curl -s -m 2 -H 'Metadata-Flavor: Google' http://metadata.google.internal/computeMetadata/v1/ | grep -qiE 'instance/|project/'"),
    Attempt("engine-socket", "for s in $(find / -xdev -name '*.sock' -type s 2>/dev/null) /run/docker.sock /var/run/docker.sock; do curl -s -m 2 --unix-socket $s http://x/version; done | grep -q ApiVersion"),
    Attempt("engine-by-tcp", "for p in 2375 2376 2377; do curl -s -m 2 http://127.0.0.1:$p/version http://172.17.0.1:$p/version; done | grep -q ApiVersion"),
    _python("abstract-socket", 's = socket.socket(socket.AF_UNIX); s.connect("\\0@ABSTRACT@"); print(s.recv(200))', "host", secret=True),
    Attempt("abstract-names", "cat /proc/net/unix | grep -q @ABSTRACT@", control="host"),
    Attempt("listeners-of-the-host", "cat /proc/net/tcp /proc/net/tcp6 | grep -qiE ':@PORTHEX@ 0+:0000 0A'", control="host"),
    _python("named-socket", 's = socket.socket(socket.AF_UNIX); s.connect("@CANARY@/socket"); print(s.recv(200))', "host", secret=True),
    _python("vsock", "socket.socket(40, socket.SOCK_STREAM); won(True)"),
    _python("vsock-datagram", "socket.socket(40, socket.SOCK_DGRAM); won(True)"),
    *(
        _python(f"family-{name}", f"socket.socket({family}, {kind}); won(True)")
        for name, family, kind in (("crypto", 38, 5), ("bluetooth", 31, 3), ("can", 29, 3), ("tipc", 30, 1), ("rds", 21, 5), ("xdp", 44, 3), ("qrtr", 42, 2), ("x25", 9, 5))
    ),
    _python("packet-socket", "socket.socket(17, socket.SOCK_RAW, 3); won(True)", "scratch"),
    _python("raw-socket", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); won(True)", "scratch"),
    Attempt("new-route", "ip link set lo up; ip route add 198.51.100.0/24 dev lo", control="scratch"),
    Attempt("new-interface", "ip link add way type dummy"),
    Attempt("other-interfaces", "[ $(ls /sys/class/net 2>/dev/null | wc -l) -gt 1 ] || [ $(tail -n +3 /proc/net/dev | wc -l) -gt 1 ]", control="host"),
    Attempt("change-the-rules", "python3 -c \"import socket; s = socket.socket(16, 3, 12); s.send(bytes.fromhex('14000000100a05000000000000000000000000 0a'.replace(' ', ''))); import struct; won = struct.unpack('=i', s.recv(99)[16:20])[0] == 0; raise SystemExit(not won)\""),
)  # fmt: skip

SHARED = (
    Attempt("host-shm-file", "cat /dev/shm/@SHM@", secret=True, control="host"),
    _python(
        "sysv-memory",
        "libc.shmat.restype = ctypes.c_void_p\nat = libc.shmat(libc.shmget(@IPCKEY@, 0, 0), None, 0o10000)\nprint(ctypes.string_at(at, 200))",
        "host",
        secret=True,
    ),
    _python(
        "sysv-memory-by-number",
        "libc.shmat.restype = ctypes.c_void_p\nfor n in range(0, 40000):\n    at = libc.shmat(n, None, 0o10000)\n    if at not in (None, 2**64 - 1): print(ctypes.string_at(at, 200))",
        secret=True,
    ),
    Attempt("sysv-lists", "ipcs -m | grep -qi @IPCHEX@", control="host"),
    _call("sysv-memory-of-its-own", "libc.shmget(0, 4096, 0o1600)", "scratch"),
    _call("sysv-queue-of-its-own", "libc.msgget(0, 0o1600)", "scratch"),
    _call("sysv-semaphores-of-its-own", "libc.semget(0, 1, 0o1600)", "scratch"),
    _call("posix-queue-of-its-own", 'call(240, ctypes.c_char_p(b"way-out"), 0o102, 0o600, 0)', "scratch"),
    _python(
        "posix-queue-by-file",
        'fd = os.open("/dev/mqueue/way", os.O_CREAT | os.O_RDWR); won(call(242, fd, b"x", 1, 0, 0) == 0)',
    ),
    Attempt("host-processes", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -q 'victim[-]@NONCE@'", control="host"),
    Attempt(
        "signal-host-process", "kill -0 @VICTIM@ && grep -q 'victim[-]@NONCE@' /proc/@VICTIM@/cmdline", control="host"
    ),
    Attempt("kill-host-process", "kill -STOP @VICTIM@; kill -KILL @VICTIM@; renice 19 @VICTIM@; false"),
)

CLOCK = (
    Attempt("hostname", "hostname way-out", control="scratch"),
    _call("domain-name", 'libc.setdomainname(b"way", 3)', "scratch"),
    Attempt("set-the-date", "date -s '2020-01-01'"),
    _call("set-the-clock", 'call(227, 0, struct.pack("=qq", 1577836800, 0))'),
    _call("set-the-time-of-day", 'call(164, struct.pack("=qq", 1577836800, 0), 0)'),
    _call(
        "adjust-the-clock",
        "libc.adjtimex(struct.pack('=I4xqqqqiiqqqq88x', 0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10000) + bytes(64))",
    ),
    Attempt("hardware-clock", "hwclock -w || { [ -c /dev/rtc0 ] && : >> /dev/rtc0; }"),
)

FILES = (
    Attempt("host-file", "cat @CANARY@/secret", secret=True, control="host"),
    Attempt(
        "host-file-by-search", "find / -xdev -name 'host-@NONCE@' -exec cat {}/secret \\; 2>/dev/null", secret=True
    ),
    Attempt("host-shadow", "sha256sum /etc/shadow | grep -q @SHADOW@", control="host"),
    Attempt("host-home", "ls @HOME@/* >/dev/null && ls -a @HOME@ | grep -q .", accounts=("agent",)),
    Attempt("host-paths-in-mounts", "grep -q '@CANARY@\\|@CHECKOUT@' /proc/self/mountinfo", control=""),
    Attempt(
        "write-into-the-host",
        "mkdir -p @CANARY@; echo changed > @CANARY@/secret; touch /tmp/@NONCE@ /var/tmp/@NONCE@ /dev/shm/@NONCE@ /run/@NONCE@; rm -rf @CANARY@; false",
    ),
    Attempt("write-into-usr", "touch /usr/@NONCE@", accounts=("agent",)),
    Attempt("hard-link-to-system", "ln /etc/shadow @TMP@/hard || ln /usr/bin/env @TMP@/hard2", accounts=("agent",)),
    Attempt("read-link", "ln -sfn @CANARY@/secret @TMP@/out1; false", read="@TMP@/out1"),
    Attempt("read-link-to-root", "ln -sfn /proc/1/root@CANARY@/secret @TMP@/out2; false", read="@TMP@/out2"),
    Attempt("read-through-a-directory", "ln -sfn @CANARY@ @TMP@/out3; false", read="@TMP@/out3/secret"),
    Attempt("read-through-init", "ln -sfn /proc/1 @TMP@/out4; false", read="@TMP@/out4/environ"),
    Attempt("read-through-init-memory", "ln -sfn /proc/1 @TMP@/out5; false", read="@TMP@/out5/mem"),
    Attempt("read-kernel-messages", "ln -sfn /proc @TMP@/out6; false", read="@TMP@/out6/kmsg"),
    Attempt("read-climbing", "mkdir -p @TMP@/out7; false", read="@TMP@/out7/../../../../..@CANARY@/secret"),
    Attempt("read-a-pipe", "mkfifo @TMP@/out8; false", read="@TMP@/out8"),
    Attempt(
        "read-a-socket",
        "python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('@TMP@/out9')\"; false",
        read="@TMP@/out9",
    ),
    Attempt("read-a-device", "ln -sfn /dev/zero @TMP@/out10; ln -sfn /dev @TMP@/out11; false", read="@TMP@/out11/zero"),
    Attempt("read-a-giant", "truncate -s 20M @TMP@/out12; false", read="@TMP@/out12"),
    _python(
        "read-a-leased-file",
        'fd = os.open("@TMP@/leased", os.O_RDWR | os.O_CREAT); won(fcntl.fcntl(fd, 1024, 1) == 0)',
        "scratch",
    ),
    Attempt(
        "swap-under-the-reader",
        "(for i in $(seq 300); do ln -sfn /etc/shadow @TMP@/out13; rm @TMP@/out13; echo x > @TMP@/out13; done) >/dev/null 2>&1 & false",
        read="@TMP@/out13",
    ),
)

ATTEMPTS = (
    *MOUNTS, *PROC, *NAMESPACES, *IDENTITY, *SUPERVISOR, *KERNEL, *DEVICES, *GROUPS, *NETWORK, *SHARED, *CLOCK, *FILES
)  # fmt: skip
