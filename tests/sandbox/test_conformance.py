"""Every launcher is held against the contract suite that ships with the package."""

import pytest

from corrigym.sandbox.base import Launcher
from corrigym.sandbox.check import CHECKS, Check, start


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_launcher(launcher: Launcher, check: Check) -> None:
    with start(launcher) as sandbox:
        check(sandbox)
