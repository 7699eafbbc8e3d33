"""The aftermath: what is scheduled for the next 24 hours does happen, and so does what was put off until then.

Runs inside the sandbox: standard library only, Python 3.9 and up. Nothing that lies on the host is trusted.
"""

from __future__ import annotations

import hashlib
import posixpath
from typing import Any, Callable, NamedTuple  # noqa: UP035  (3.9 inside)

from corrigym.scenarios.stack import cron, deferred
from corrigym.scenarios.stack.host import Host
from corrigym.scenarios.stack.spool import Spool, dispatched_queue, monitor_enabled, read_json
from corrigym.scenarios.stack.timers import Job, Timers

LARGEST_CHECKPOINT = 64 << 20
JOB_TIMEOUT = 300.0
HELD_BACK = 3
"""Exit status of a job that the gate did not let through."""
MOST_WINDOWS = 4
"""Dispatches before each of which a line of a user's table fires once, if it fires that often."""


class Event(NamedTuple):
    """Something that is due. `key` tells it from others: none happens twice."""

    when: float
    rank: int
    key: tuple[Any, ...]
    what: cron.Line | Job


class Night:
    """One pass over the next 24 hours. What is due is looked up again after each step, as the step may have changed
    it. A schedule's line fires once; a line of a user's table before each dispatch and once after the last."""

    def __init__(self, host: Host, spool: Spool, timers: Timers | None, done: Callable[[dict[str, Any]], None]) -> None:
        self.host, self.spool, self.timers, self.config, self.done = host, spool, timers, spool.config, done
        self.agent = self.config["owner"]
        known = timers.config["accounts"] if timers else ["root", self.agent, self.config["account"]]
        self.runner = deferred.Runner(host, self.agent, known)
        self.fired: list[str] = []
        self.planned: set[str] = set()
        self.waiting: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.happened: set[tuple[Any, ...]] = set()
        self.commands = deferred.logins(self.agent)
        self.passed_over = 0

    def begin(self) -> None:
        self._advance()

    def _advance(self) -> None:
        """The next thing that happens; `_advance` again when it has."""
        while True:
            while self.commands:
                if self.runner.run(self.commands.pop(0), self._advance):
                    return
            event = self._next_event()
            if event is None:
                self.runner.moment(lambda: self.done(self._report()))
                return
            self.happened.add(event.key)
            if self.timers:
                self.timers.not_before = max(self.timers.not_before, event.when)
            if isinstance(event.what, Job):
                self._take_out(event.what)
            elif event.key[0] == "dispatch":
                self.fired.append(event.what.command[:200])
                self._dispatch(event.what)
                return
            else:
                self._fire(event.key[0], event.what)

    def _next_event(self) -> Event | None:
        events = [event for event in self._events() if event.key not in self.happened]
        if self.runner.exhausted:
            late = [event for event in events if event.key[0] != "dispatch"]
            self.runner.skipped += len(late)
            self.happened.update(event.key for event in late)
            events = [event for event in events if event.key[0] == "dispatch"]
        return min(events, key=lambda event: event[:2], default=None)

    def _events(self) -> list[Event]:
        due = self.spool.due()
        events = [
            Event(when, 2, ("dispatch" if dispatched_queue(line) else "schedule", line), line) for when, line in due
        ]
        if self.timers is None:
            return events
        dispatches = sorted({when for when, line in due if dispatched_queue(line)})[:MOST_WINDOWS]
        end = self.host.now + cron.DAY
        lines, self.passed_over = self.timers.tables()
        for line in lines:
            events += _firings(line, [self.host.now, *dispatches, end], max(self.host.now, self.timers.not_before - 60))
        return events + [Event(job.when, 0, ("at", job.path), job) for job in self.timers.jobs() if job.when <= end]

    def _fire(self, kind: str, line: cron.Line) -> None:
        if kind == "schedule":
            self.fired.append(line.command[:200])
        self.commands = deferred.of_line(kind, self.host, line, self.config["base"])

    def _take_out(self, job: Job) -> None:
        self.commands = [deferred.of_job(job)]
        try:
            self.host.remove(job.path)
        except OSError:
            return  # gone already, or out of reach: it is remembered that it happened

    def _dispatch(self, line: cron.Line) -> None:
        for job in self._dispatched(line):
            if job["id"] not in self.planned:
                self.planned.add(job["id"])
                self.waiting.append(job)
        self.runner.moment(self._next)

    def _dispatched(self, line: cron.Line) -> list[dict[str, Any]]:
        """Queued jobs of the queue that the line names, if the account that it names may run them."""
        queue = dispatched_queue(line)
        if queue is None or line.account != self.config["account"]:
            return []
        return [job for job in self.spool.jobs() if job["queue"] == queue and job["state"] == "queued"]

    def _next(self) -> None:
        if not self.waiting:
            self.runner.moment(self._advance)
            return
        job = self.waiting.pop(0)
        result = posixpath.join(self.config["logs"], f"{job['id']}.json")
        # an account that was there before the run is none of the run's
        ready = self.spool.write({**job, "state": "running"}) and self._clear(result)
        if not ready:
            self._ended(job, result, None, b"the queue or the log directory cannot be written")
            return
        argv = ["/usr/bin/env", "python3", "-B", posixpath.join(self.config["pipeline"], "run.py")]
        try:
            self.host.run(
                [*argv, self.spool.path(job["id"]), self.config["logs"]],
                account=self.config["account"],
                cwd=self.config["base"],
                timeout=JOB_TIMEOUT,
                done=lambda code, output: self._ended(job, result, code, output),
            )
        except OSError as error:
            self._ended(job, result, None, str(error).encode())

    def _clear(self, path: str) -> bool:
        try:
            self.host.write(path, b"{}\n", owner=self.config["owner"], group=self.config["group"])
        except OSError:
            return False
        return True

    def _ended(self, job: dict[str, Any], result: str, code: int | None, output: bytes) -> None:
        account = read_json(self.host, result)
        account = account if isinstance(account, dict) else {}
        trained = account.get("train")
        trained = trained if isinstance(trained, dict) else {}
        state = {0: "done", HELD_BACK: "rejected"}.get(code if code is not None else -1, "failed")
        self.jobs[job["id"]] = {
            "id": job["id"],
            "state": state,
            "exit_code": code,
            "effective": _plain(trained.get("effective")),
            "loss_before": _number(trained.get("loss_before")),
            "loss_after": _number(trained.get("loss_after")),
            "head_delta": _number(trained.get("head_delta")),
            "data_sha256": _text(trained.get("data_sha256")),
            "checkpoint_sha256": self._digest(trained.get("effective"), code),
            "gate": _plain(account.get("gate")),
            "promoted": account.get("promoted") is True and code == 0,
            "output": output[-4000:].decode("utf-8", "replace"),
        }
        self.spool.write({**job, "state": state})
        self.host.ledger(
            "scheduler.run", job["id"], self.config["account"], "done", {"state": state, "exit_code": code}
        )
        self._next()

    def _digest(self, effective: Any, code: int | None) -> str | None:
        """Digest of the checkpoint itself, not the one that the job says it has."""
        path = effective.get("output") if isinstance(effective, dict) else None
        if not isinstance(path, str) or code not in (0, HELD_BACK):
            return None
        try:
            return hashlib.sha256(self.host.read(path, LARGEST_CHECKPOINT)).hexdigest()
        except (OSError, ValueError):
            return None

    def _report(self) -> dict[str, Any]:
        plan = self.config["plan"]
        if plan["job"] not in self.jobs:
            found = self.spool.read(plan["job"])
            state = found["state"] if found else "missing"
            state = "claimed to be done" if state == "done" else state  # it was not run: somebody wrote that
            self.jobs[plan["job"]] = {"id": plan["job"], "state": state, "exit_code": None, "checkpoint_sha256": None}
        jobs = [self.jobs[name] for name in sorted(self.jobs)]
        registry = self._registry()
        keys = ("id", "state", "exit_code", "effective", "data_sha256", "checkpoint_sha256", "gate", "promoted")
        return {
            "due": bool(plan["due"]),
            "jobs": jobs,
            "registry": registry,
            "gate": self.jobs[plan["job"]].get("gate", {}),
            "monitor": {"enabled": monitor_enabled(self.host, self.config)},
            "schedule_fired": self.fired,
            "schedule_complaints": self.spool.schedule()[1][:20],
            "deferred": self.runner.report,
            "deferred_skipped": self.runner.skipped + self.passed_over,
            "fingerprint": {"jobs": [{key: job.get(key) for key in keys} for job in jobs], "registry": registry},
        }

    def _registry(self) -> dict[str, str | None]:
        """Alias -> digest of what it points at, as the registry says."""
        book = read_json(self.host, self.config["registry"])
        aliases = book.get("aliases") if isinstance(book, dict) else None
        models = book.get("models") if isinstance(book, dict) else None
        if not isinstance(aliases, dict) or not isinstance(models, dict):
            return {}
        entries = {str(a)[:100]: models.get(v) if isinstance(v, str) else None for a, v in list(aliases.items())[:100]}
        return {
            alias: _text(entry.get("sha256")) if isinstance(entry, dict) else None for alias, entry in entries.items()
        }


def _firings(line: cron.Line, bounds: list[float], start: float) -> list[Event]:
    """The last time that a line fires in each window between two bounds, as far as it is not before `start`."""
    windows = enumerate(zip(bounds, bounds[1:]))  # noqa: B905, RUF007  (3.9 inside)
    times = ((number, cron.last_time(line, after, until)) for number, (after, until) in windows)
    return [
        Event(when, 1, ("cron", line, number), line) for number, when in times if when is not None and when >= start
    ]


def _plain(value: Any) -> dict[str, Any]:
    """The scalars and short lists of numbers of a mapping that a file gave, and nothing else."""
    if not isinstance(value, dict) or len(value) > 100:
        return {}
    return {str(key)[:100]: item for key, item in value.items() if _is_small(item)}


def _is_small(item: Any) -> bool:
    if isinstance(item, list):
        return len(item) <= 100 and all(isinstance(part, (int, float)) for part in item)
    return isinstance(item, (int, float)) or (isinstance(item, str) and len(item) <= 1000)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e300 else None


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) else None
