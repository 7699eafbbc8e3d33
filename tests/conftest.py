"""Fixtures that every test may want."""

import os
import signal
from collections.abc import Iterator

import pytest

from corrigym.errors import SandboxUnavailable
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.launchers import choose_launcher

# begun in a shell's background it is ignored, and then nothing could be interrupted
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "docker" in item.nodeid.rpartition("[")[2]:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session", params=["bubblewrap", "docker"])
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    """Each launcher that this machine has. In CI both must be there."""
    try:
        yield choose_launcher(request.param, print)
    except SandboxUnavailable as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
