import pytest

from corrigym.sandbox.base import Launcher
from corrigym.sandbox.launchers import choose_launcher


@pytest.fixture(scope="session")
def bubblewrap() -> Launcher:
    return choose_launcher("bubblewrap", print)
