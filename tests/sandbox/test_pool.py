"""Sandboxes that are started ahead."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from corrigym.agents.shared import Shared
from corrigym.agents.spec import make_agent
from corrigym.detection.model import Verdict
from corrigym.episodes.runs import RunFolder
from corrigym.episodes.summary import episode_summary
from corrigym.errors import SandboxError
from corrigym.sandbox.base import Channel, Launcher, Limits
from corrigym.sandbox.check import LIMITS, NOW, check_world
from corrigym.sandbox.docker import client
from corrigym.sandbox.launchers import choose_launcher
from corrigym.sandbox.pool import Order, WarmPool
from corrigym.sandbox.session import Sandbox
from corrigym.sandbox.supervisor import wire
from corrigym.scenarios.loader import load_scenario
from corrigym.scenarios.trajectories import script_loader
from corrigym.scenarios.world import Entry
from corrigym.studies.runner import plan, run_episodes
from tests.sandbox.host import children

ORDER = Order("gpu-07", LIMITS, {"org.corrigym.episode": "one"})


class Counting:
    """A real launcher, with what it was asked for."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher, self.name = launcher, launcher.name
        self.channels: list[Channel] = []
        self.launched = threading.Semaphore(0)
        self.ahead = self.of_episodes = 0

    def unavailable(self) -> str | None:
        return self._launcher.unavailable()

    def launch(self, *, hostname: str, limits: Limits, labels: dict[str, str]) -> Channel:
        channel = self._launcher.launch(hostname=hostname, limits=limits, labels=labels)
        self.channels.append(channel)
        self.of_episodes += "org.corrigym.episode" in labels  # and not the untouched twins
        self.ahead += threading.current_thread().name == "warm-pool"
        self.launched.release()
        return channel


@pytest.fixture
def counting(launcher: Launcher) -> Counting:
    return Counting(launcher)


@contextmanager
def warm(counting: Counting, order: Order = ORDER) -> Iterator[WarmPool]:
    """A pool in which one sandbox waits."""
    with WarmPool(counting) as pool:
        pool.expect("one", lambda: order)
        assert counting.launched.acquire(timeout=60)
        yield pool


KEEPER = """
import sys, time
from corrigym.sandbox.check import LIMITS
from corrigym.sandbox.launchers import choose_launcher
from corrigym.sandbox.pool import Order, WarmPool
launcher, ready = choose_launcher(sys.argv[1], lambda _: None), []
class Telling:
    name = launcher.name
    def launch(self, **wanted):
        ready.append(launcher.launch(**wanted))
        return ready[-1]
with WarmPool(Telling()) as pool:
    for number in range(2):
        pool.expect(str(number), lambda: Order("gpu-07", LIMITS, {}))
    while len(ready) < 2:
        time.sleep(0.01)
    print("ready", flush=True)
    time.sleep(600)
"""


def supervisors(launcher: str, owner: int) -> set[Path]:
    """Processes of this machine that are sandboxes of `owner`'s."""
    if launcher == "docker":
        api = client().api
        mine = api.containers(filters={"label": f"org.corrigym.pid={owner}"})
        return {Path("/proc", str(api.inspect_container(one["Id"])["State"]["Pid"])) for one in mine}
    walls = {zygote for bwrap in children(owner) for zygote in children(bwrap)}
    return {Path("/proc", str(pid)) for zygote in walls for pid in children(zygote)}


def test_walls_that_fell_are_made_again() -> None:
    launcher = choose_launcher("bubblewrap", print)
    with start(launcher) as sandbox:
        for bwrap in children(os.getpid()):
            os.kill(bwrap, signal.SIGKILL)
        with pytest.raises(SandboxError):
            sandbox.exec("sleep 30")  # the walls take a moment to fall
    with start(launcher) as sandbox:
        assert sandbox.exec("whoami").output == "ops\n"


FORKER = """
import os
from corrigym.sandbox.check import LIMITS, NOW, check_world
from corrigym.sandbox.launchers import choose_launcher
from corrigym.sandbox.session import Sandbox
launcher = choose_launcher("bubblewrap", print)
def answer():
    with Sandbox.start(check_world(), launcher, now=NOW, limits=LIMITS) as sandbox:
        return sandbox.exec("whoami").output == "ops\\n"
with Sandbox.start(check_world(), launcher, now=NOW, limits=LIMITS) as sandbox:
    pid = os.fork()
    if pid == 0:
        own = answer() and any(open(f"/proc/self/task/{one}/children").read() for one in os.listdir("/proc/self/task"))
        os._exit(0 if own else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert sandbox.exec("whoami").output == "ops\\n" and answer()
"""


def test_a_fork_of_a_runner_starts_sandboxes_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKER], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def end(processes: set[Path]) -> None:
    """They do, soon: who made them has to notice."""
    deadline = time.monotonic() + 60
    while any(path.exists() for path in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(path.exists() for path in processes)


def start(launcher: Launcher, order: Order = ORDER) -> Sandbox:
    return Sandbox.start(check_world(), launcher, now=NOW, limits=order.limits, labels=order.labels)


def is_over(channel: Channel) -> bool:
    try:
        channel.send(b"\0\0\0\2{}")
        channel.receive(1, 5.0)
    except (SandboxError, ValueError, OSError):
        return True
    return False


def test_what_was_started_ahead_is_handed_out(counting: Counting) -> None:
    with warm(counting) as pool, pool.launcher("one") as launcher, start(launcher) as sandbox:
        assert sandbox.exec("hostname; whoami").output == "gpu-07\nops\n"
        assert len(counting.channels) == 1


def test_another_sandbox_than_the_expected_one_is_started_anew(counting: Counting) -> None:
    with warm(counting, Order("other-01", LIMITS, ORDER.labels)) as pool, pool.launcher("one") as launcher:
        with start(launcher) as sandbox:
            assert sandbox.exec("hostname").output == "gpu-07\n"
        assert len(counting.channels) == 2
        assert is_over(counting.channels[0])


LONG = Entry("/srv/ml/deep/long.bin", content=os.urandom(1 << 20), mode=0o640, owner="ops", group="ml", modified="-3d")
WITH_LONG = replace(check_world(), entries=(*check_world().entries, LONG))


@pytest.mark.parametrize("content", [LONG.content, LONG.content[::-1]], ids=["expected", "another"])
def test_what_is_long_is_there_before_the_world_is_given(counting: Counting, content: bytes) -> None:
    given = replace(check_world(), entries=(*check_world().entries, replace(LONG, content=content)))
    with warm(counting, replace(ORDER, world=WITH_LONG)) as pool, pool.launcher("one") as launcher:
        with Sandbox.start(given, launcher, now=NOW, limits=LIMITS, labels=ORDER.labels) as sandbox:
            looked = sandbox.exec(f"stat -c '%a %y' {LONG.path}")
            assert looked.output.startswith("640 2026-03-"), looked.output
            assert sandbox.read(LONG.path) == content
            assert (looked.changes, sandbox.sweep().changes) == ((), ())
        assert list(counting.channels[-1].held) == [LONG.path]


def test_what_was_written_ahead_for_another_world_is_in_none(counting: Counting) -> None:
    refused = pytest.raises(SandboxError, match=f"prepared for another world: it has {LONG.path}")
    with warm(counting, replace(ORDER, world=WITH_LONG)) as pool, pool.launcher("one") as launcher, refused:
        start(launcher)


def test_one_that_died_while_it_waited_is_replaced(counting: Counting) -> None:
    with warm(counting) as pool, pool.launcher("one") as launcher:
        counting.channels[0].kill()
        with start(launcher) as sandbox:
            assert sandbox.exec("whoami").output == "ops\n"
        assert len(counting.channels) == 2


@pytest.mark.parametrize("milliseconds", range(0, 10, 2))
def test_one_that_is_killed_while_it_comes_up_does_not_come_up(launcher: Launcher, milliseconds: int) -> None:
    with closing(launcher.launch(hostname="gpu-07", limits=LIMITS, labels={})) as channel:
        time.sleep(milliseconds / 1000)
        channel.kill()
        with suppress(SandboxError):
            channel.send(wire.encode({"op": "ready"}))
        with pytest.raises(SandboxError):
            channel.receive(1, 20)


def test_a_sandbox_of_a_process_that_holds_many_others_answers(launcher: Launcher) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("not so many descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    with ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            held.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        with start(launcher) as sandbox:
            assert sandbox.exec("whoami").output == "ops\n"


def test_it_is_handed_out_once(counting: Counting) -> None:
    with warm(counting) as pool, pool.launcher("one") as launcher, start(launcher) as first, start(launcher) as second:
        first.exec("touch /tmp/mine")
        assert second.exec("ls /tmp").output == ""


def test_nothing_is_left_of_what_nobody_asked_for(counting: Counting) -> None:
    with warm(counting) as pool, pool.launcher("one"):
        pass
    assert is_over(counting.channels[0])


def test_nothing_is_left_when_the_pool_ends(counting: Counting) -> None:
    with warm(counting):
        pass
    assert is_over(counting.channels[0])


def test_nothing_is_left_of_a_world_that_does_not_fit(launcher: Launcher) -> None:
    entry = Entry("/srv/ml/too-large.bin", content=bytes(LIMITS.disk + 1))
    world = replace(check_world(), entries=(*check_world().entries, entry, Entry("/srv/ml/another", content=b"x")))
    before = supervisors(launcher.name, os.getpid())
    with pytest.raises(SandboxError, match="No space left on device"):
        Sandbox.start(world, launcher, now=NOW, limits=LIMITS)
    end(supervisors(launcher.name, os.getpid()) - before)


def test_what_could_not_be_started_ahead_is_started_when_it_is_asked_for(counting: Counting) -> None:
    def broken() -> Order:
        raise SandboxError("no such world")

    with WarmPool(counting) as pool:
        pool.expect("one", broken)
        with pool.launcher("one") as launcher, start(launcher) as sandbox:
            assert sandbox.exec("whoami").output == "ops\n"


def test_nothing_is_left_when_its_process_is_killed(launcher: Launcher) -> None:
    with subprocess.Popen([sys.executable, "-c", KEEPER, launcher.name], stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "ready\n"
        waiting = supervisors(launcher.name, keeper.pid)
        keeper.kill()
    assert len(waiting) == 2
    end(waiting)


def verdicts(launcher: Launcher, folder: Path, *, warm: bool) -> list[Verdict]:
    """Without the numbers of the evidence: a world's daemon writes its log when it does, before one step or another."""
    scenario = load_scenario("weight-custody")
    with Shared() as shared:
        factory = make_agent("script/deletes-weights", load_steps=script_loader(scenario), shared=shared)
        planned = plan([(scenario, {}, factory)], agent="script", worlds=3, epochs=1, seed=0)
        run = RunFolder.create(folder, "run", {})
        run_episodes(planned, launcher=launcher, folder=run, max_sandboxes=1, warm=warm)
    return [unnumbered(episode_summary(log).verdict) for log in run.episodes()]


def unnumbered(verdict: Verdict | None) -> Verdict:
    assert verdict
    classes = {name: one.model_copy(update={"evidence": ()}) for name, one in verdict.classes.items()}
    return verdict.model_copy(update={"classes": classes})


def test_a_run_comes_out_the_same_with_and_without(tmp_path: Path) -> None:
    counting = Counting(choose_launcher("bubblewrap", print))
    cold = verdicts(counting, tmp_path / "cold", warm=False)
    assert counting.ahead == 0
    assert verdicts(counting, tmp_path / "warm", warm=True) == cold
    assert counting.ahead == 2, "all but the first, which nobody could foresee"
    assert counting.of_episodes == 3 + 3, "nothing was started for nobody"
