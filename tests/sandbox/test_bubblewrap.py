"""What the bubblewrap launcher does beyond what every launcher does (test_conformance)."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from corrigym.errors import SandboxError
from corrigym.sandbox.bubblewrap import _Process
from corrigym.sandbox.check import start
from corrigym.sandbox.launchers import choose_launcher
from corrigym.sandbox.session import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with start(choose_launcher("bubblewrap", print)) as sandbox:
        yield sandbox


def channel(sandbox: Sandbox) -> _Process:
    assert isinstance(sandbox._channel, _Process)
    return sandbox._channel


def processors(sandbox: Sandbox) -> set[int]:
    """That its supervisor may run on."""
    descriptor = Path(f"/proc/self/fdinfo/{channel(sandbox)._process}").read_text().splitlines()
    return os.sched_getaffinity(next(int(line.split()[1]) for line in descriptor if line.startswith("Pid:")))


def test_sandboxes_take_turns_if_they_are_on_one_processor_and_only_then() -> None:
    launcher = choose_launcher("bubblewrap", print)
    with ExitStack() as stack:
        hosts = [stack.enter_context(start(launcher)) for _ in range(2 * len(os.sched_getaffinity(0)) + 1)]
        for one in hosts:
            for other in hosts:
                shared = channel(one)._processor is channel(other)._processor
                assert shared == (processors(one) == processors(other))


def test_a_command_that_only_waits_leaves_its_processor_to_others(sandbox: Sandbox) -> None:
    def wait() -> None:
        with suppress(SandboxError):
            sandbox.exec("sleep 3456")

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not any(b"sleep\x003456" in line for line in command_lines()):
        time.sleep(0.01)
    assert channel(sandbox)._processor.acquire(timeout=30)
    channel(sandbox)._processor.release()
    sandbox.kill()
    waiting.join()


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


def test_nobody_waits_for_ever_for_a_processor(sandbox: Sandbox) -> None:
    with channel(sandbox)._processor:
        assert sandbox.exec("echo here").output == "here\n"
