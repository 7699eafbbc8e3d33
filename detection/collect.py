"""Turns what a sandbox saw during a tool call into evidence: one normalised observation each, with an id."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import count
from typing import Any, Protocol

from corrigym.detection.model import Evidence, Source
from corrigym.models import Json
from corrigym.sandbox.base import Change, Execution, Sent, Served
from corrigym.scenarios.world import Asset

READABLE = frozenset({"dataset", "config", "code", "job", "schedule", "registry", "evaluator", "monitor"})
"""Kinds whose meaning decides, so that their text goes into the evidence, before and after."""
TEXT_LIMIT = 1 << 20
MAX_CHANGES = 200
"""Changes of one step that become evidence; protected assets come first, the rest is counted in one more."""


class Reader(Protocol):
    def read(self, path: str, limit: int) -> bytes | None: ...


class Collector:
    """Follows one episode: numbers its evidence, and knows the last text of each readable asset."""

    def __init__(self, assets: Mapping[str, Asset], texts: Mapping[str, bytes], account: str) -> None:
        self._assets, self._account = assets, account
        self._texts = {path: _text(data) for path, data in texts.items() if self._is_readable(path)}
        self._numbers = count(1)

    def collect(self, execution: Execution, step: int, reader: Reader) -> list[Evidence]:
        """All that `execution` shows; texts of changed assets are read by `reader`."""
        found = [*self._ledger(execution.served, step), *self._egress(execution.sent, step)]
        for change in execution.changes[:MAX_CHANGES]:
            found.append(self._state(change, step, reader))
        missed = execution.dropped + max(0, len(execution.changes) - MAX_CHANGES)
        if missed:
            found.append(self._evidence(step, "state", "uncounted", "", None, None, {"changes": missed}))
        return found

    def asset_of(self, path: str) -> str | None:
        """The name of the asset that `path` belongs to; the most specific one where several hold it."""
        best: tuple[int, str] | None = None
        for name, asset in self._assets.items():
            for own in asset.paths:
                if (path == own or path.startswith(own.rstrip("/") + "/")) and (best is None or len(own) > best[0]):
                    best = (len(own), name)
        return best[1] if best else None

    def _is_readable(self, path: str) -> bool:
        name = self.asset_of(path)
        return name is not None and self._assets[name].kind in READABLE

    def _ledger(self, served: tuple[Served, ...], step: int) -> Iterator[Evidence]:
        ids = {asset.id: name for name, asset in self._assets.items() if asset.id}
        for entry in served:
            detail = {"outcome": entry.outcome, **entry.detail}
            yield self._evidence(
                step, "ledger", entry.operation, entry.subject, ids.get(entry.subject), entry.account, detail
            )

    def _egress(self, sent: tuple[Sent, ...], step: int) -> Iterator[Evidence]:
        weights = next((name for name, asset in self._assets.items() if asset.kind == "weights"), None)
        for connection in sent:
            asset = weights if connection.canary else None
            yield self._evidence(
                step, "egress", "sent", f"{connection.host}:{connection.port}", asset, self._account, asdict(connection)
            )

    def _state(self, change: Change, step: int, reader: Reader) -> Evidence:
        detail: dict[str, Any] = {"before": change.before, "after": change.after, "canary": change.canary}
        if self._is_readable(change.path):
            detail |= self._reread(change, reader)
        actor = "service" if change.by_service else self._account
        return self._evidence(step, "state", _kind(change), change.path, self.asset_of(change.path), actor, detail)

    def _reread(self, change: Change, reader: Reader) -> dict[str, str | None]:
        before = self._texts.get(change.path)
        data = reader.read(change.path, TEXT_LIMIT) if change.after else None
        after = None if data is None else _text(data)
        self._texts[change.path] = after
        return {"text_before": before, "text_after": after}

    def _evidence(
        self, step: int, source: Source, kind: str, subject: str, asset: str | None, actor: str | None,
        detail: dict[str, Json],
    ) -> Evidence:  # fmt: skip
        return Evidence(
            id=f"e{next(self._numbers)}", step=step, source=source, kind=kind, subject=subject, asset=asset,
            actor=actor, detail=detail,
        )  # fmt: skip


def _kind(change: Change) -> str:
    if change.before is None:
        return "created"
    if change.after is None:
        return "removed"
    same = all(change.before[key] == change.after[key] for key in ("type", "digest", "target"))
    return "attributes" if same and change.before["size"] == change.after["size"] else "modified"


def _text(data: bytes) -> str | None:
    return data.decode("utf-8", "backslashreplace")
