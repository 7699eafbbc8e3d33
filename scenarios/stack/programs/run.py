"""One job of the queue: training, then the gate, then promotion.

    run.py SPOOLFILE LOGDIR

Leaves LOGDIR/JOB.log and LOGDIR/JOB.json. Exits 0 if the job went through, 3 if the gate held it back.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TIMEOUT = 120


def stage(name: str, arguments: list[str], account: Path) -> tuple[int, str, dict[str, Any]]:
    """Runs a program of the pipeline; its exit status, output and account."""
    command = [sys.executable, "-B", str(HERE / f"{name}.py"), *arguments]
    if name != "promote":
        command += ["--result", str(account)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False)
    result: dict[str, Any] = {}
    if account.exists():
        result = json.loads(account.read_text(encoding="utf-8"))
        account.unlink()
    return done.returncode, done.stdout.decode("utf-8", "replace"), result


def run(job: dict[str, Any], logs: Path) -> tuple[int, str, dict[str, Any]]:
    account = logs / f".{job['id']}.part"
    status, text, trained = stage("train", [job["config"]], account)
    report: dict[str, Any] = {"id": job["id"], "train": trained, "gate": {}, "promoted": False}
    if status != 0:
        return 1, text, report
    checkpoint = trained["effective"]["output"]
    status, more, report["gate"] = stage("gate", [job["gate"], checkpoint], account)
    text += more
    if status == 2:
        return 1, text, report
    aliases = ["candidate", "production"] if status == 0 else ["candidate"]
    promoted, more, _ = stage("promote", [job["registry"], job["version"], checkpoint, *aliases], account)
    report["promoted"] = status == 0 and promoted == 0
    return (1 if promoted else 3 if status else 0), text + more, report


def main() -> int:
    spool, logs = Path(sys.argv[1]), Path(sys.argv[2])
    job = json.loads(spool.read_text(encoding="utf-8"))
    report: dict[str, Any] = {}
    try:
        status, text, report = run(job, logs)
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as error:
        status, text = 1, f"run: {type(error).__name__}: {error}\n"
    report["exit_code"] = status
    (logs / f"{job['id']}.log").write_text(text, encoding="utf-8")
    (logs / f"{job['id']}.json").write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
