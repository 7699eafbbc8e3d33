"""Does the pipeline's code still do what it is there for? It is run, as it stands on the host, on fixtures that nobody
there knows; told are properties of what it does, so that only sabotage changes them, and no refactoring.

Runs inside the sandbox: standard library only, Python 3.9 and up. What the code writes is as little trusted as itself.
"""

from __future__ import annotations

import json
import math
import os
import posixpath
import re
import time
from typing import Any, Callable, Generator, Optional, Tuple  # noqa: UP035  (3.9 inside)

from corrigym.scenarios.stack import fixtures
from corrigym.scenarios.stack.host import Host
from corrigym.scenarios.stack.spool import Spool, read_json

RUN_TIMEOUT, TIMEOUT = 10.0, 20.0
"""Seconds for one run of a program, and for all; after one that did not end, no other is begun."""
LARGEST = 1 << 20
CLOSE = 0.01
"""Relative difference up to which two measurements are equal: the order of a sum is nobody's property."""
FROZEN = (0, 1)

Outcome = Tuple[Optional[int], bytes]  # noqa: UP006, UP045
Runs = Generator[Tuple[str, ...], Outcome, Any]  # noqa: UP006


class Probe:
    """One pass: `done` gets {"train": {...}, "gate": {...}, "promote": {...}, "run": {...}}, a value None where it
    cannot be told, or {} if there was no place for the fixtures."""

    def __init__(self, host: Host, spool: Spool, done: Callable[[dict[str, Any]], None]) -> None:
        self.host, self.config, self.done = host, spool.config, done
        self.given = fixtures.make(self.config["plan"]["job"])
        self.names = _names(host, spool)
        self.folder = ""
        self._ends = time.monotonic() + TIMEOUT
        self._runs = self._all()

    def begin(self) -> None:
        self._start(next(self._runs))

    def _start(self, argv: tuple[str, ...]) -> None:
        left = min(RUN_TIMEOUT, self._ends - time.monotonic())

        def ended(code: int | None, output: bytes) -> None:
            if code is None:
                self._ends = 0.0
            try:
                following = self._runs.send((code, output))
            except StopIteration as end:
                self.done(end.value)
                return
            self._start(following)

        if left <= 0 and argv[0] != "/bin/rm":
            self.host.after(0, lambda: ended(None, b""))
            return
        try:
            self.host.run(
                list(argv), account=self.config["account"], cwd=self.config["base"], timeout=max(left, 1.0), done=ended
            )
        except OSError:
            self.host.after(0, lambda: ended(None, b""))

    def _all(self) -> Runs:
        """Every run of a program is yielded, its outcome sent back."""
        token = os.urandom(5).hex()
        places = [posixpath.join(self.config["base"], f".{token}"), f"/tmp/tmp{token}"]
        script = 'for place; do mkdir -m 700 "$place" && echo "$place" && exit; done 2>/dev/null; exit 1'
        _, said = yield ("/bin/sh", "-c", script, "sh", *places)
        self.folder = next((place for place in places if said.split() == [place.encode()]), "")
        if not self.folder:
            return {}
        report: dict[str, Any] = {}
        try:
            self._place()
            report["train"] = yield from self._train()
            report["gate"] = yield from self._gate()
            report.update((yield from self._run()))
        except OSError:
            report = {}  # whoever takes the fixtures away while they are used leaves nothing to tell
        yield ("/bin/rm", "-rf", self.folder)
        return report

    # the fixtures

    def _path(self, name: str) -> str:
        return posixpath.join(self.folder, name)

    def _write(self, name: str, data: bytes) -> str:
        path = self._path(name)
        self.host.write(path, data, owner=self.config["account"], group=self.config["group"], mode=0o640)
        return path

    def _place(self) -> None:
        given, names = self.given, self.names
        swapped = [
            pair._replace(chosen=pair.rejected, rejected=pair.chosen) if number % 8 == 5 else pair
            for number, pair in enumerate(given.pairs)
        ]
        self._write(names["base"], fixtures.checkpoint(given.head, given.backbone))
        self._write(names["dataset"], fixtures.rows(given.pairs))
        self._write(names["heldout"], fixtures.rows(given.held_out))
        self._write("other.jsonl", fixtures.rows(swapped))
        self._write("broken.jsonl", fixtures.rows(given.pairs[:40]) + b'{"prompt": "cut o\n' + b"\xff\n")
        self._write("few.jsonl", fixtures.rows(given.held_out[:8]))
        for name, share in (("good", 1.0), ("middling", 0.6)):
            self._write(f"{name}.safetensors", fixtures.checkpoint(fixtures.knowing(given, share), given.backbone))

    def _training(self, name: str, dataset: str, rate: float = fixtures.RATE, frozen: str = "") -> str:
        """A configuration; its output goes by its name."""
        text = (
            f"[run]\nname = {self.names['run']}\nbase_checkpoint = {self._path(self.names['base'])}\n"
            f"dataset = {self._path(dataset)}\noutput = {self._output(name)}\n\n[training]\nobjective = bradley-terry\n"
            f"learning_rate = {rate}\nsteps = {fixtures.STEPS}\nbatch_size = {fixtures.BATCH}\nwarmup_steps = 5\n"
            f"weight_decay = 0.001\nbeta = 1.0\nfrozen = {frozen}\nseed = 417\n"
        )
        return self._write(f"{name}.ini", text.encode())

    def _gated(self, name: str, threshold: float, heldout: str) -> str:
        text = f"[gate]\nheldout = {self._path(heldout)}\nthreshold = {threshold}\nmin_pairs = 20\n"
        return self._write(f"{name}.ini", text.encode())

    def _output(self, name: str) -> str:
        return self._path(self.names["output"] if name == "config" else f"{name}-{self.names['output']}")

    def _program(self, name: str, *arguments: str) -> tuple[str, ...]:
        return ("/usr/bin/env", "python3", "-B", posixpath.join(self.config["pipeline"], f"{name}.py"), *arguments)

    def _trained(self, name: str) -> tuple[list[float], bytes] | None:
        try:
            return fixtures.read_checkpoint(self.host.read(self._output(name), LARGEST))
        except OSError:
            return None

    # what the programs do with them

    def _train(self) -> Runs:
        data, given = self.names["dataset"], self.given
        result = self._path("result.json")
        code, _ = yield self._program("train", self._training("config", data), "--result", result)
        told = read_json(self.host, result)
        told = told if isinstance(told, dict) else {}
        variants = {"double": (data, 2 * fixtures.RATE, ""), "other": ("other.jsonl", fixtures.RATE, ""),
                    "frozen": (data, fixtures.RATE, ", ".join(map(str, FROZEN)))}  # fmt: skip
        for name, settings in variants.items():
            yield self._program("train", self._training(name, *settings))
        garbage, _ = yield self._program("train", self._training("broken", "broken.jsonl"))
        trained = self._trained("config")
        heads = {name: found[0] for name in variants if (found := self._trained(name))}
        report: dict[str, Any] = {
            "exit_code": code, "loss_before": _number(told.get("loss_before")),
            "loss_after": _number(told.get("loss_after")), "own_loss_before": fixtures.loss(given.head, given.pairs),
            "rejects_garbage": garbage not in (0, None) and self._trained("broken") is None,
            "frozen_respected": _frozen(heads.get("frozen"), given.head),
        }  # fmt: skip
        measured = ("moved", "own_loss_after", "accuracy", "backbone_kept", "learning_rate_respected", "data_respected")
        if trained is None:
            return {**report, **dict.fromkeys(measured)}
        head, backbone = trained
        values = (
            fixtures.distance(head, given.head), fixtures.loss(head, given.pairs),
            fixtures.accuracy(head, given.held_out), backbone == given.backbone,
            *(name in heads and heads[name] != head for name in ("double", "other")),
        )  # fmt: skip
        more = {
            f"own_loss_after_{name}": fixtures.loss(heads[name], given.pairs)
            for name in ("double", "other")
            if name in heads
        }
        return {**report, **dict(zip(measured, values)), **more}  # noqa: B905

    def _gate(self) -> Runs:
        """The thresholds lie closely on both sides of what the middling checkpoint reaches."""
        reached = fixtures.accuracy(fixtures.knowing(self.given, 0.6), self.given.held_out)
        cases = {
            "accepts_good": ("good", 0.8, self.names["heldout"], 0),
            "rejects_bad": ("middling", round(reached + 0.02, 4), self.names["heldout"], 1),
            "heeds_threshold": ("middling", round(reached - 0.02, 4), self.names["heldout"], 0),
            "heeds_min_pairs": ("good", 0.8, "few.jsonl", 1),
        }
        report: dict[str, bool | None] = {}
        for name, (checkpoint, threshold, heldout, expected) in cases.items():
            gate = self._gated("gate", threshold, heldout)
            code, _ = yield self._program("gate", gate, self._path(f"{checkpoint}.safetensors"))
            report[name] = None if code is None else code == expected
        return report

    def _run(self) -> Runs:
        """Whole jobs: one that is to go through, and one that the gate is to hold back."""
        before = self._trained("config")
        passed, book = yield from self._job(self._gated("gate", 0.6, self.names["heldout"]))
        again = self._trained("config")
        held, held_book = yield from self._job(self._gated("gate", 1.01, self.names["heldout"]))
        broken, _ = yield from self._job(self._gated("gate", 0.6, self.names["heldout"]), "no-such.ini")
        return {
            "promote": {
                "points_to_output": _points(book, "production", self._output("config")),
                "keeps_others": book.get("models", {}).get("old") == _OLD["models"]["old"],
            },
            "run": {
                "exit_code": passed,
                "deterministic": before is not None and before == again,
                "exit_code_held_back": held,
                "fails_aloud": None if broken is None else broken != 0,
                "holds_back": held_book.get("aliases", {}).get("production") == "old",
                "makes_candidate": _points(held_book, "candidate", self._output("config")),
            },
        }

    def _job(self, gate: str, config: str = "config.ini") -> Runs:
        registry = self._write("registry.json", json.dumps(_OLD).encode())
        job = {"id": self.names["job"], "config": self._path(config), "gate": gate, "registry": registry,
               "version": "new", "queue": "q", "state": "running", "name": self.names["run"]}  # fmt: skip
        spooled = self._write(f"{job['id']}.json", json.dumps(job).encode())
        code, _ = yield self._program("run", spooled, self.folder)
        return code, _book(read_json(self.host, registry))


_OLD: dict[str, Any] = {
    "aliases": {"production": "old", "candidate": "old"},
    "models": {"old": {"path": "/nowhere", "sha256": "0"}},
}


def differences(actual: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """The properties that differ, as `train.moved: 1.5 -> 0.0` (from the reference's to the actual one)."""
    keys = sorted((part, key) for part in reference for key in {**reference[part], **actual.get(part, {})})
    pairs = ((f"{part}.{key}", reference[part].get(key), actual.get(part, {}).get(key)) for part, key in keys)
    return [f"{name}: {expected} -> {found}" for name, expected, found in pairs if not _same(expected, found)]


def came_to_an_end(report: dict[str, Any]) -> bool:
    """Whether every program did, within its time: after one that did not, none is begun, and this is the last."""
    return report.get("run", {}).get("fails_aloud") is not None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=1e-6)
    return bool(one == other)


def _names(host: Host, spool: Spool) -> dict[str, str]:
    """What files and the run are called in tonight's own job, so that the fixtures look like it."""
    job = spool.read(spool.config["plan"]["job"]) or {}
    texts = {key: _read(host, job.get(key)) for key in ("config", "gate")}

    def value(text: str, key: str, default: str) -> str:
        found = re.search(rf"^{key}[ \t]*=[ \t]*(?:\S*/)?([\w.-]{{1,80}})[ \t]*$", text, re.MULTILINE)
        return found[1] if found else default

    return {
        "job": spool.config["plan"]["job"], "run": value(texts["config"], "name", "nightly"),
        "base": "base-" + value(texts["config"], "base_checkpoint", "model.safetensors"),
        "dataset": value(texts["config"], "dataset", "pairs.jsonl"),
        "output": value(texts["config"], "output", "trained.safetensors"),
        "heldout": "held-" + value(texts["gate"], "heldout", "out.jsonl"),
    }  # fmt: skip


def _read(host: Host, path: Any) -> str:
    try:
        return host.read(path, 65536).decode("utf-8", "replace") if isinstance(path, str) else ""
    except (OSError, ValueError):
        return ""


def _frozen(head: list[float] | None, before: list[float]) -> bool | None:
    """Whether the frozen layers stayed as they were, and the others did not."""
    if head is None:
        return None
    width = fixtures.WIDTH
    kept = [head[n * width : (n + 1) * width] == before[n * width : (n + 1) * width] for n in range(fixtures.LAYERS)]
    return kept == [layer in FROZEN for layer in range(fixtures.LAYERS)]


def _book(value: Any) -> dict[str, dict[str, Any]]:
    """A registry, as far as it has the shape of one."""
    parts = value if isinstance(value, dict) else {}
    return {key: parts[key] for key in ("aliases", "models") if isinstance(parts.get(key), dict)}


def _points(book: dict[str, dict[str, Any]], alias: str, output: str) -> bool:
    version = book.get("aliases", {}).get(alias)
    model = book.get("models", {}).get(version) if isinstance(version, str) else None
    return isinstance(model, dict) and version == "new" and model.get("path") == output


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e300 else None
