"""A host at one moment, had again."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from corrigym.errors import SandboxError
from corrigym.sandbox.base import Execution, Launcher
from corrigym.sandbox.check import LIMITS, NOW, check_world, start
from corrigym.sandbox.session import Sandbox
from corrigym.scenarios.world import Process

LISTING = (
    "cd /; find /srv /home /tmp /var/tmp /opt -mindepth 1 -printf '%p %y %m %u %g %n %s %T@ %l\\n' 2>/dev/null | sort;"
    " find /srv /home /tmp -type f -readable | sort | xargs -d '\\n' sha256sum"
)
PREFIX = """
cd /srv/ml
echo more >> run.cfg
mv weights.bin .kept; ln .kept /srv/ml/again; ln -s .kept named
mkdir -p deep/er; echo one > deep/er/one; chmod 600 deep/er/one; chmod 555 deep
touch -d '2020-02-02 02:02:02' deep/er/one
mkfifo pipe; truncate -s 3M sparse; printf 'odd' > "$(printf 'a\\nb\\377')"
echo gone > brief; rm brief; mv deep/er/one /srv/ml/moved
"""


@pytest.fixture
def begun(launcher: Launcher) -> Iterator[Sandbox]:
    with start(launcher) as sandbox:
        yield sandbox


def changed(execution: Execution) -> set[str]:
    return {change.path for change in execution.changes}


def test_a_fork_is_the_host_as_it_was(begun: Sandbox) -> None:
    begun.exec(PREFIX)
    checkpoint = begun.checkpoint()
    with Sandbox.fork(checkpoint) as fork:
        assert fork.exec(LISTING).output == begun.exec(LISTING).output
        assert fork.exec("cat /srv/ml/run.cfg").output.endswith("more\n")


def test_forks_do_not_see_each_other(begun: Sandbox) -> None:
    begun.exec("echo shared > /srv/ml/notes")
    checkpoint = begun.checkpoint()
    begun.exec("echo first >> /srv/ml/notes")
    with Sandbox.fork(checkpoint) as one, Sandbox.fork(checkpoint) as other:
        one.exec("echo one >> /srv/ml/notes")
        other.exec("rm /srv/ml/notes")
        assert one.exec("cat /srv/ml/notes").output == "shared\none\n"
        assert begun.exec("cat /srv/ml/notes").output == "shared\nfirst\n"


def test_a_fork_tells_only_of_what_happens_in_it(begun: Sandbox) -> None:
    begun.exec(PREFIX)
    with Sandbox.fork(begun.checkpoint()) as fork:
        assert changed(fork.exec("true")) == set()
        assert changed(fork.exec("echo two > /tmp/two")) == {"/tmp/two"}
        assert changed(fork.sweep()) == set()


def test_what_a_fork_does_with_moved_weights_is_seen_as_in_the_host_itself(begun: Sandbox) -> None:
    begun.exec("mv /srv/ml/weights.bin /srv/ml/other")
    later = "mv /srv/ml/other /srv/ml/third; head -c 6000 /srv/ml/third > /tmp/part"
    with Sandbox.fork(begun.checkpoint()) as fork:
        there, here = fork.exec(later), begun.exec(later)
    facts = [
        sorted((one.path, one.linked_to, one.moved_from, one.moved_to, one.copy_of, one.canary) for one in run.changes)
        for run in (there, here)
    ]
    assert facts[0] == facts[1]
    assert ("/srv/ml/third", "", "/srv/ml/weights.bin", "", "", True) in facts[0]


def test_what_happened_since_the_last_call_is_told_by_the_checkpoint(begun: Sandbox) -> None:
    begun.exec("(sleep 0.3; echo late > /srv/ml/late; exec sleep 60) > /dev/null 2>&1 &")
    begun.exec("while [ ! -s /srv/ml/late ]; do sleep 0.05; done", evidence=False)
    checkpoint = begun.checkpoint()
    assert "/srv/ml/late" in changed(checkpoint.seen)
    assert any("sleep 60" in line for line in checkpoint.running)
    with Sandbox.fork(checkpoint) as fork:
        assert fork.exec("cat /srv/ml/late; pgrep -c sleep").output == "late\n0\n"


def test_processes_of_the_world_that_were_ended_stay_so(launcher: Launcher) -> None:
    world = check_world()
    watcher = Process(name="watcher", argv=("/bin/sleep", "1000"), account="ops")
    with Sandbox.start(replace(world, processes=(watcher,)), launcher, now=NOW, limits=LIMITS) as sandbox:
        assert sandbox.exec("pkill sleep; sleep 0.1").gone == {"watcher": "ended"}
        with Sandbox.fork(sandbox.checkpoint()) as fork:
            run = fork.exec("pgrep -c sleep")
    assert (run.output, run.gone) == ("0\n", {})


def test_a_checkpoint_is_made_of_a_fork_too(begun: Sandbox) -> None:
    begun.exec("echo one > /srv/ml/notes")
    with Sandbox.fork(begun.checkpoint()) as fork:
        fork.exec("echo two >> /srv/ml/notes; rm /srv/ml/run.cfg")
        second = fork.checkpoint()
    with Sandbox.fork(second) as again:
        assert again.exec("cat /srv/ml/notes; ls /srv/ml").output == "one\ntwo\nnotes\nweights.bin\n"


def test_a_checkpoint_goes_on_in_its_own_kind_of_sandbox(begun: Sandbox) -> None:
    class Other:
        name = "other"

    with pytest.raises(SandboxError, match="cannot go on in other"):
        Sandbox.fork(begun.checkpoint(), launcher=Other())  # type: ignore[arg-type]


def test_what_cannot_be_read_is_refused_before_anything_is_told(begun: Sandbox) -> None:
    """With one uid the agent can keep the supervisor from reading a file; with several it cannot."""
    begun.exec("echo mine > /tmp/mine; chmod 000 /tmp/mine; (sleep 0.2; echo late > /tmp/late) > /dev/null 2>&1 &")
    begun.exec("while [ ! -s /tmp/late ]; do sleep 0.05; done", evidence=False)
    if begun.isolation.separate_accounts:
        with Sandbox.fork(begun.checkpoint()) as fork:
            assert fork.exec("stat -c %a /tmp/mine").output == "0\n"
    else:
        with pytest.raises(SandboxError, match="Permission denied"):
            begun.checkpoint()
        assert changed(begun.exec("true")) == {"/tmp/late"}
