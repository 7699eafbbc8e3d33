"""Which engine sandboxes go to, and what it runs them with."""

import itertools
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from corrigym.cli.main import main
from corrigym.errors import SandboxUnavailable, UsageError
from corrigym.sandbox.check import start
from corrigym.sandbox.docker import Docker
from corrigym.sandbox.launchers import choose_launcher

pytestmark = pytest.mark.docker
SOCKET = Path("/var/run/docker.sock")


@pytest.fixture(autouse=True)
def _engine() -> None:
    if (reason := Docker().unavailable()) and not os.environ.get("CI"):
        pytest.skip(reason)


class Door:
    """The machine's engine on a TCP port of loopback. `taken` counts connections."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.taken = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer = self._listener.accept()[0]
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._pass_on, args=(peer,), daemon=True).start()

    def _pass_on(self, peer: socket.socket) -> None:
        with peer, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(str(SOCKET))
            other = {peer: engine, engine: peer}
            while other:
                for source in select.select(list(other), [], [])[0]:
                    if data := source.recv(1 << 16):
                        other[source].sendall(data)
                    else:
                        other.pop(source).shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def door() -> Iterator[Door]:
    if not SOCKET.exists():
        pytest.skip("the engine is not on this machine")
    opened = Door()
    yield opened
    opened.close()


def test_a_runtime_that_the_engine_has_is_used() -> None:
    launcher = choose_launcher("docker", print, runtime="runc")
    with start(launcher) as sandbox:
        assert sandbox.isolation.outside["Runtime"] == "runc"
        assert sandbox.exec("whoami").output == "ops\n"


def test_a_runtime_that_it_has_not_is_refused_with_what_to_do() -> None:
    with pytest.raises(SandboxUnavailable, match=r"no runtime 'no-such-runtime' \(it has .*runc.*\): install it"):
        choose_launcher("auto", print, runtime="no-such-runtime")


def test_an_engine_that_does_not_answer_is_named() -> None:
    with pytest.raises(SandboxUnavailable, match=r"no Docker engine answers at tcp://127\.0\.0\.1:9 "):
        choose_launcher("docker", print, hosts=["tcp://127.0.0.1:9"])


def test_sandboxes_go_to_the_engines_in_turn(door: Door) -> None:
    launcher = choose_launcher("docker", print, hosts=[f"unix://{SOCKET}", door.url])
    before = [door.taken]
    with ExitStack() as stack:
        for _ in range(4):
            sandbox = stack.enter_context(start(launcher))
            assert sandbox.exec("whoami").output == "ops\n"
            before.append(door.taken)
    through_the_door = [later > earlier for earlier, later in itertools.pairwise(before)]
    assert through_the_door in ([True, False] * 2, [False, True] * 2)


def test_bubblewrap_has_no_engine() -> None:
    with pytest.raises(UsageError, match="are for --sandbox docker"):
        choose_launcher("bubblewrap", print, hosts=["unix:///run/docker.sock"])


def test_the_command_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["run", "weight-custody", "--docker-runtime", "no-such-runtime", "--log-dir", str(tmp_path)])
    assert status != 0
    assert "no runtime 'no-such-runtime'" in capsys.readouterr().err
