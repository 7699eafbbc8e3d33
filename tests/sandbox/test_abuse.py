"""Whatever a command does to its host, the call ends, the next one works, and what could not be seen is counted.

Completes `corrigym.sandbox.check` and test_witness, which have fork bombs, one full disk, memory, floods of output.
"""

from collections.abc import Iterator

import pytest

from corrigym.sandbox.base import Execution, Launcher, Limits
from corrigym.sandbox.check import LIMITS, NOW, WEIGHTS, check_world
from corrigym.sandbox.session import Sandbox

W = "/srv/ml/weights.bin"
SMALL = Limits(memory=96 << 20, disk=16 << 20, inodes=5_000, processes=64, file=24 << 20)
"""Five full disks are nearly what the processes may have."""


@pytest.fixture(scope="module")
def sandbox(launcher: Launcher) -> Iterator[Sandbox]:
    """For abuse that leaves the host usable once its traces are gone: as `_usable` shows after each."""
    with Sandbox.start(check_world(), launcher, now=NOW, limits=LIMITS) as started:
        yield started


@pytest.fixture
def small(launcher: Launcher) -> Iterator[Sandbox]:
    with Sandbox.start(check_world(), launcher, now=NOW, limits=SMALL) as started:
        yield started
        _usable(started)


def _python(sandbox: Sandbox, program: str, timeout: float = 60) -> Execution:
    return sandbox.exec(f"python3 - <<'END'\nimport os, socket, sys, time\n{program}\nEND", timeout=timeout)


def _usable(sandbox: Sandbox) -> None:
    run = sandbox.exec("kill -9 -1", timeout=20)
    run = sandbox.exec(f"rm -rf /tmp/* /srv/ml/abuse* /dev/shm/*; echo x > /tmp/marker; sha256sum < {W}", timeout=60)
    assert run.exit_code == 0, run
    assert sandbox.read("/tmp/marker") == b"x\n"
    assert sandbox.read(W) == WEIGHTS


def test_full_disks_everywhere_leave_room_for_the_supervisor(small: Sandbox) -> None:
    places = "/home/ops /srv/ml /tmp /var/tmp /dev/shm"
    run = small.exec(
        f"for d in {places}; do for n in 1 2; do head -c 16M /dev/zero > $d/fill$n; done; done", timeout=60
    )
    assert "No space left" in run.output
    assert set(run.full) >= {"/home", "/srv", "/tmp", "/var/tmp", "/dev/shm"}
    small.exec(f"for d in {places}; do rm $d/fill*; done")


def test_many_small_processes_do_not_push_the_supervisor_out_of_memory(small: Sandbox) -> None:
    hog = "b = bytearray(12 << 20)\nb[::4096] = b'x' * len(b[::4096])\ntime.sleep(1)\nos._exit(0)"
    each = "\n    ".join(hog.splitlines())
    run = _python(small, f"for i in range(50):\n  if os.fork() == 0:\n    {each}\ntime.sleep(2)", timeout=60)
    assert run.exit_code in (0, 1, -9), run


def test_inodes_are_bounded(small: Sandbox) -> None:
    run = _python(small, "for i in range(6000): os.close(os.open(f'/tmp/{i}', os.O_CREAT))")
    assert "No space left" in run.output
    assert "/tmp" in run.full
    assert len(run.changes) + run.dropped > 4000


def test_a_tree_of_a_thousand_levels_is_told_as_far_as_there_is_time(sandbox: Sandbox) -> None:
    run = _python(sandbox, "os.chdir('/tmp')\nfor i in range(1500):\n    os.mkdir('d' * 100)\n    os.chdir('d' * 100)")
    assert run.exit_code == 0
    assert len(run.changes) > 100
    _usable(sandbox)


def test_sparse_giants_are_told_by_what_they_occupy(sandbox: Sandbox) -> None:
    run = _python(sandbox, "for i in range(50):\n    with open(f'/tmp/{i}', 'wb') as f: f.truncate(8 << 20)")
    assert sorted({change.after["allocated"] for change in run.changes if change.after}) == [0]
    assert len(run.changes) == 50 or run.dropped > 0
    _usable(sandbox)


def test_a_file_beyond_all_bounds_is_not_made(sandbox: Sandbox) -> None:
    run = sandbox.exec("truncate -s 1E /tmp/giant")
    assert run.exit_code != 0
    assert [call.operation for call in run.calls if call.operation == "claim"] == ["claim"]


def test_hard_links_without_end_are_counted(sandbox: Sandbox) -> None:
    link = f"for i in range(4000): os.link('{W}', f'/srv/ml/abuse/{{i}}')"
    run = _python(sandbox, f"os.mkdir('/srv/ml/abuse')\n{link}")
    assert len(run.changes) + run.dropped >= 4001
    _usable(sandbox)


def test_attributes_without_end_do_no_harm(sandbox: Sandbox) -> None:
    run = _python(
        sandbox,
        "v = os.urandom(200)\nfor i in range(300):\n    open(f'/tmp/{i}', 'w').close()\n    for j in range(40):\n"
        "        try: os.setxattr(f'/tmp/{i}', f'user.{j}', v)\n        except OSError: pass",
    )
    assert run.exit_code == 0
    _usable(sandbox)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb\x1b[31m", b"-rf", "\u202e\u00e9".encode(), b"x" * 255])
def test_programs_and_arguments_of_any_name_are_told(sandbox: Sandbox, name: bytes) -> None:
    path = b"/tmp/" + name
    run = _python(sandbox, f"import shutil, subprocess\nshutil.copy('/bin/true', {path!r})\n"
                           f"subprocess.run([{path!r}, b'\\xff', {name!r}], check=True)")  # fmt: skip
    assert run.exit_code == 0, run.output
    assert [
        call.detail["argv"][1] for call in run.calls if call.operation == "execute" and len(call.detail["argv"]) == 3
    ]
    _usable(sandbox)


@pytest.mark.parametrize("command", ["echo a\0b", "echo \ud800", "x" * 200_000], ids=["nul", "surrogate", "too-long"])
def test_a_command_that_cannot_be_run_fails_as_a_command(sandbox: Sandbox, command: str) -> None:
    assert sandbox.exec(command).exit_code == 126


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        ("exec 0<&- 1>&- 2>&-; sleep 0.1; exit 5", 5),
        ("kill -9 0", -9),
        ("exec >/dev/full; echo x", 1),
        ("ulimit -n 3; cat /etc/passwd", 127),
        ("ulimit -u 1; true", 0),
        ("ulimit -v 1000; exec bash", 127),
        ("trap '' TERM HUP INT QUIT; exit 0", 0),
        ("cd /tmp; mkdir gone; cd gone; rmdir ../gone; pwd; exit 0", 0),
    ],
)
def test_streams_and_limits_that_a_command_takes_from_itself_are_its_own_affair(
    sandbox: Sandbox, command: str, exit_code: int
) -> None:
    run = sandbox.exec(command, timeout=20)
    assert not run.timed_out
    if exit_code != 127:  # which of its programs fails, and how, is the shell's affair
        assert run.exit_code == exit_code, run
    _usable(sandbox)


def test_a_daemon_outlives_its_call_and_is_told(sandbox: Sandbox) -> None:
    double = "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(300)\n    os._exit(0)"
    run = _python(sandbox, double)
    assert [one["program"] for one in run.running if "python" in one["program"]], run.running
    _usable(sandbox)
    assert sandbox.exec("pgrep -c python3 || true").output.strip() == "0"


def test_daemons_that_flood_their_streams_hold_up_nothing(sandbox: Sandbox) -> None:
    run = sandbox.exec("for n in 1 2 3; do setsid sh -c 'exec cat /dev/zero' & done; sleep 0.3", timeout=20, limit=1000)
    assert not run.timed_out
    assert sandbox.exec("echo next", timeout=20).output == "next\n"
    _usable(sandbox)


def test_stopping_everything_stops_nothing_of_ours(sandbox: Sandbox) -> None:
    run = sandbox.exec("sleep 300 & kill -STOP -1; kill -STOP 1; kill -STOP $$; echo unreached", timeout=1)
    assert run.timed_out
    _usable(sandbox)


def test_descriptors_used_up_are_the_agents_alone(sandbox: Sandbox) -> None:
    run = _python(
        sandbox,
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))\nheld = []\ntry:\n"
        "    while True: held.append(socket.create_connection(('203.0.113.9', 80)))\nexcept OSError: pass\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(300)",
    )
    assert run.exit_code == 0
    beside = sandbox.exec("echo hello > /dev/tcp/203.0.113.9/81", timeout=20)
    assert [sent.port for sent in beside.sent if sent.head == "hello\n"] == [81]
    _usable(sandbox)


def test_pseudo_terminals_used_up_are_the_agents_alone(sandbox: Sandbox) -> None:
    _python(sandbox, "held = []\ntry:\n    while True: held += os.openpty()\nexcept OSError: pass")
    _usable(sandbox)


def test_a_pipe_in_place_of_a_file_blocks_nobody(sandbox: Sandbox) -> None:
    sandbox.exec("mkfifo /tmp/pipe /tmp/other; ln -s pipe /tmp/link; (exec 3<>/tmp/other; sleep 300) >/dev/null 2>&1 &")
    assert [sandbox.read(path) for path in ("/tmp/pipe", "/tmp/link", "/tmp/other")] == [None] * 3
    _usable(sandbox)


def test_files_that_come_and_go_all_the_time_hold_up_nothing(sandbox: Sandbox) -> None:
    each = "\n    for i in range(500): "
    churn = f"while True:{each}open(f'/tmp/{{i}}', 'w').close(){each}os.unlink(f'/tmp/{{i}}')"
    sandbox.exec(f"setsid python3 - >/dev/null 2>&1 <<'END' &\nimport os\n{churn}\nEND")
    for step in range(3):
        assert sandbox.exec(f"echo {step}", timeout=20).output == f"{step}\n"
    _usable(sandbox)


def test_links_that_go_round_do_no_harm(sandbox: Sandbox) -> None:
    run = sandbox.exec("cd /tmp; ln -s b a; ln -s a b; ln -s . self; mkdir d; ln -s ../d d/again; cat a; ls d/again")
    assert {change.path for change in run.changes} == {"/tmp/a", "/tmp/b", "/tmp/self", "/tmp/d", "/tmp/d/again"}
    assert sandbox.read("/tmp/a") is None
    _usable(sandbox)


@pytest.mark.slow
def test_of_a_hundred_thousand_entries_what_is_not_listed_is_counted(launcher: Launcher) -> None:
    with Sandbox.start(check_world(), launcher, now=NOW) as sandbox:
        run = _python(sandbox, "for i in range(99_000): os.mkdir(f'/tmp/{i}')", timeout=200)
        assert run.exit_code == 0, run
        assert run.dropped > 0
        assert sandbox.exec("echo alive", timeout=30).output == "alive\n"
        seen = sandbox.sweep()
        assert len(seen.changes) + seen.dropped + run.dropped > 10_000  # how many more, the machine's speed decides
