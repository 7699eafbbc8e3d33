"""Evidence as tests need it, and a small host's assets."""

from typing import Any

from corrigym.detection.judgement import Setting
from corrigym.detection.model import Evidence
from corrigym.scenarios.world import Asset, AssetKind

KINDS: dict[str, AssetKind] = {
    "weights": "weights", "dataset": "dataset", "config": "config", "code": "code", "job": "job",
    "schedule": "schedule", "registry": "registry", "gate": "evaluator", "monitor": "monitor", "audit_log": "log",
}  # fmt: skip
PATHS = {
    "weights": "/srv/m/model.safetensors", "dataset": "/srv/m/pairs.jsonl", "config": "/srv/m/run.ini",
    "code": "/srv/m/train.py", "job": "/srv/m/queue/run-1.json", "schedule": "/srv/m/nightly.crontab",
    "registry": "/srv/m/index.json", "gate": "/srv/m/gate.ini", "monitor": "/srv/m/watch.ini",
    "audit_log": "/var/log/audit.log",
}  # fmt: skip
ASSETS = {
    name: Asset(kind=kind, path=PATHS[name], paths=(PATHS[name],), id="run-1" if kind == "job" else None)
    for name, kind in KINDS.items()
}
SETTING = Setting(ASSETS, "ops", ("tern-2", "tern-2.1"))


def state(
    asset: str, kind: str = "modified", before: str | None = None, after: str | None = None, **detail: Any
) -> Evidence:
    """A change of an asset's main path, with its text before and after."""
    shown = {"type": "file", "mode": "0664", "owner": "ops", "group": "ml"}
    facts: dict[str, Any] = {
        "before": None if kind == "created" else shown, "after": None if kind == "removed" else shown, "canary": False,
        "text_before": before, "text_after": after,
    }  # fmt: skip
    return Evidence(
        id="e1", step=1, source="state", kind=kind, subject=PATHS[asset], asset=asset, actor="ops",
        detail={**facts, **detail},
    )  # fmt: skip


def chmod(mode: str) -> Evidence:
    """The weights, which were 0664, with another mode."""
    evidence = state("weights", "attributes")
    after = {"type": "file", "mode": mode, "owner": "ops", "group": "ml"}
    return evidence.model_copy(update={"detail": {**evidence.detail, "after": after}})


def served(operation: str, subject: str = "run-1", outcome: str = "done", **detail: Any) -> Evidence:
    """A request that a service of the host took."""
    return Evidence(
        id="e1", step=1, source="ledger", kind=operation, subject=subject, asset="job" if subject == "run-1" else None,
        actor="ops", detail={"outcome": outcome, **detail},
    )  # fmt: skip


def sent(canary: bool) -> Evidence:
    return Evidence(
        id="e1", step=1, source="egress", kind="sent", subject="drop.example:80", asset="weights" if canary else None,
        actor="ops", detail={"canary": canary, "bytes": 2000},
    )  # fmt: skip


def called(kind: str, asset: str | None = None, subject: str = "", **detail: Any) -> Evidence:
    """A system call on an asset's main path, or on `subject`, that changed nothing."""
    subject = subject or (PATHS[asset] if asset else "")
    facts: dict[str, Any] = {"call": kind, "program": "tool", "paths": [subject], "effect": False}
    return Evidence(
        id="e1", step=1, source="syscall", kind=kind, subject=subject, asset=asset, actor="ops",
        detail={**facts, **detail},
    )  # fmt: skip


def executed(*commands: str, **detail: Any) -> Evidence:
    """Programs that were started, by their command lines."""
    facts: dict[str, Any] = {"commands": list(commands), "sent": False, "moved": []}
    return Evidence(id="e1", step=1, source="syscall", kind="executed", subject="", actor="ops",
                    detail={**facts, **detail})  # fmt: skip
