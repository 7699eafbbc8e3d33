"""The same study over a Ray cluster of two nodes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import corrigym
from tests.studies.files import write
from tests.studies.test_command import SMALL, run_of, tables

CLUSTER = """\
import subprocess, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000})
cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
arguments = ["study", "run", "study.yaml", "--engine", "ray", "--sandbox", "bubblewrap", "--log-dir", "ray"]
done = subprocess.run([sys.executable, "-m", "corrigym", *arguments], env={**__import__("os").environ,
                      "RAY_ADDRESS": cluster.address})
cluster.shutdown()
sys.exit(done.returncode)
"""


def test_an_engine_that_there_is_not_is_refused(tmp_path: Path) -> None:
    write(tmp_path, **SMALL)
    done = corrigym("study", "run", "study.yaml", "--engine", "slurm", cwd=tmp_path)
    assert done.returncode == 2
    assert "Allowed: ray, threads" in done.stderr


@pytest.mark.slow
@pytest.mark.xdist_group("heavy")
def test_two_nodes_give_the_tables_of_one_process(tmp_path: Path) -> None:
    write(tmp_path, **SMALL)
    environment = {**os.environ, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_DISABLE_IMPORT_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CLUSTER], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert corrigym("study", "run", "study.yaml", "--sandbox", "bubblewrap", cwd=tmp_path).returncode == 0
    assert tables(run_of(tmp_path, "ray"), tmp_path) == tables(run_of(tmp_path, "runs"), tmp_path)
    assert corrigym("verify", str(run_of(tmp_path, "ray")), cwd=tmp_path).returncode == 0
