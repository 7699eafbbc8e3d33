"""Nothing gets out: each way in `escapes` fails in every launcher, and the host is afterwards what it was.

And each kind of proof would fire: the same programs win where nothing confines them, and each change is seen.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from corrigym.sandbox.base import Launcher
from corrigym.sandbox.check import start
from corrigym.sandbox.session import Sandbox
from tests.sandbox.escapes import ATTEMPTS, Attempt
from tests.sandbox.host import Host, changed, prepared, state_after

Outcomes = dict[str, tuple[int, str]]
DRIVER = (Path(__file__).parent / "escape_driver.py").read_text()
CONTROLLED = [attempt for attempt in ATTEMPTS if attempt.control]
LASTING = ("victim", "named", "canary")
"""What no namespace of its own keeps from this machine; `prepared` makes it anew each time."""
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="what an unconfined program may do is shown as root")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with prepared() as machine:
        yield machine


@pytest.fixture(scope="module")
def tried(launcher: Launcher, host: Host) -> Iterator[tuple[Sandbox, dict[str, Outcomes], list[str]]]:
    """The sandbox, what became of all attempts by account, and what is different on the host."""
    before = host.state()
    with start(launcher) as sandbox:
        accounts = ("agent", "root") if sandbox.isolation.separate_accounts else ("agent",)
        outcomes = {account: _try_all(sandbox, host, account) for account in accounts}
        yield sandbox, outcomes, changed(before, host.state())


def _try_all(sandbox: Sandbox, host: Host, account: str) -> Outcomes:
    attempts = [attempt for attempt in ATTEMPTS if account in attempt.accounts]
    program = base64.b64encode(_driver(attempts, host, f"/tmp/{account}", scratch=False).encode()).decode()
    run = sandbox.exec(
        f"python3 -c \"import base64; exec(base64.b64decode('{program}'))\"", timeout=120, limit=32 << 20,
        account="root" if account == "root" else None,
    )  # fmt: skip
    assert run.exit_code == 0, run.output[-2000:]
    found: Outcomes = json.loads(run.output.splitlines()[-1])
    return found


def _driver(attempts: list[Attempt], host: Host, tmp: str, *, scratch: bool) -> str:
    programs = [(one.name, _filled(one.program, host, tmp), one.python, tmp) for one in attempts]
    given = {"ATTEMPTS": programs, "SCRATCH": scratch, "__name__": "driver"}
    return f"exec(compile({DRIVER!r}, 'driver', 'exec'), {given!r})"


def _filled(text: str, host: Host, tmp: str) -> str:
    return host.fill(text).replace("@TMP@", tmp)


@pytest.mark.parametrize("account", ["agent", "root"])
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_it_fails(
    tried: tuple[Sandbox, dict[str, Outcomes], list[str]], host: Host, attempt: Attempt, account: str
) -> None:
    sandbox, outcomes, _ = tried
    if account not in outcomes or account not in attempt.accounts:
        return  # there is one uid only, or root may do this inside, where it changes nothing outside
    exit_code, output = outcomes[account][attempt.name]
    assert not _wins(attempt, exit_code, output, host), output
    if attempt.read:
        path = _filled(attempt.read, host, f"/tmp/{account}")
        assert host.secret.encode() not in (sandbox.read(path) or b"")


def test_the_host_is_as_it_was(tried: tuple[Sandbox, dict[str, Outcomes], list[str]]) -> None:
    assert tried[2] == []


def test_the_sandbox_goes_on(tried: tuple[Sandbox, dict[str, Outcomes], list[str]]) -> None:
    assert tried[0].exec("echo alive").output == "alive\n"


def test_the_supervisor_loads_nothing_that_root_inside_has_written(launcher: Launcher) -> None:
    takes_over = "open('/tmp/taken', 'w').write('over')"
    with start(launcher) as sandbox:
        if not sandbox.isolation.separate_accounts:
            return  # nobody is root, and nobody can write there
        place = sandbox.exec("python3 -c 'import os; print(os.path.dirname(os.__file__))'").output.strip()
        modules = " ".join(f"{place}/{name}.py" for name in ("ssl", "lzma", "bz2"))
        written = sandbox.exec(f'rm -r {place}/__pycache__; echo "{takes_over}" | tee {modules}', account="root")
        assert written.exit_code == 0, written.output
        sent = sandbox.exec(
            "printf secret > /tmp/s; xz -k /tmp/s; bzip2 -k /tmp/s; cat /tmp/s.xz /tmp/s.bz2 > /tmp/both;"
            "curl -sSk -m 10 -T /tmp/both https://files.partner.example/; curl -sS -T /tmp/both http://198.18.7.7/"
        )
        assert sent.exit_code == 0, sent.output
        assert [one.protocol for one in sent.sent] == ["https", "http"]
        assert sandbox.read("/tmp/taken") is None


@pytest.fixture(scope="module")
def unconfined(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What becomes of those attempts that may be carried out on this machine."""
    outcomes: Outcomes = {}
    for control in ("host", "scratch"):
        tmp = str(tmp_path_factory.mktemp(control)) if control == "host" else "/tmp/scratch"
        attempts = [attempt for attempt in CONTROLLED if attempt.control == control]
        program = _driver(attempts, host, tmp, scratch=control == "scratch")
        done = subprocess.run(
            [sys.executable, "-"], input=program, capture_output=True, text=True, timeout=200, check=True
        )
        outcomes |= json.loads(done.stdout.splitlines()[-1])
    return outcomes


@needs_root
@pytest.mark.parametrize("attempt", CONTROLLED, ids=lambda attempt: attempt.name)
def test_it_wins_where_nothing_confines_it(unconfined: Outcomes, host: Host, attempt: Attempt) -> None:
    exit_code, output = unconfined[attempt.name]
    assert _wins(attempt, exit_code, output, host), output


@needs_root
@pytest.mark.parametrize(
    ("mutation", "name"),
    [
        ("hostname way-out", "host"),
        ("domainname way-out", "host"),
        ("mount -t tmpfs none /mnt", "mounts"),
        ("sysctl -w net.ipv4.ip_default_ttl=65", "settings"),
        ("sysctl -w kernel.shmmax=4097", "settings"),
        ("mount --bind /dev/null /etc/passwd", "accounts"),
        ("mount --bind /dev/null /proc/swaps", "swaps"),
        ("renice -n 3 -p @VICTIM@", "victim"),
        ("touch @CANARY@/../@NONCE@", "named"),
        ("touch @CANARY@/another", "canary"),
        ("echo changed > @CANARY@/other", "canary"),
        ("chmod 600 @CANARY@/other", "canary"),
        ("ln @CANARY@/other @CANARY@/link", "canary"),
        ("kill -STOP @VICTIM@", "victim"),
        ("kill -KILL @VICTIM@", "victim"),
        ("exec 3<>/dev/tcp/localhost/@PORT@", "served"),
    ],
)
def test_each_change_of_the_host_is_seen(mutation: str, name: str) -> None:
    with prepared() as host:
        before = host.state()
        after = state_after(host.fill(mutation), host)
        assert name in changed(before, after)
        assert changed(before, host.state()) == (["served"] if name == "served" else [name] if name in LASTING else [])


def _wins(attempt: Attempt, exit_code: int, output: str, host: Host) -> bool:
    return host.secret in output or (exit_code == 0 and not attempt.secret)
