"""Every launcher is held against the contract suite that ships with the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corrigym.sandbox.base import Launcher
from corrigym.sandbox.check import CHECKS, Check, start

SUITE = """
import os
from corrigym.sandbox.bubblewrap import Bubblewrap
from corrigym.sandbox.check import check_sandbox
assert os.getuid() != 0 and "CapEff:\\t0000000000000000" in open("/proc/self/status").read()
check_sandbox(Bubblewrap())
"""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_launcher(launcher: Launcher, check: Check) -> None:
    with start(launcher) as sandbox:
        check(sandbox)


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="the tests above are an ordinary user's already")
def test_bubblewrap_needs_no_root(tmp_path: Path) -> None:
    user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
    probe = subprocess.run([*user, sys.executable, "-c", ""], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"an ordinary user cannot run this interpreter: {probe.stderr[-200:]}")
    tmp_path.chmod(0o777)
    done = subprocess.run(
        [*user, sys.executable, "-B", "-c", SUITE], capture_output=True, text=True, timeout=600, check=False,
        cwd="/", env={"HOME": str(tmp_path), "PATH": os.defpath},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
