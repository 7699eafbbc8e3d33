"""What accounts of the host put off: their own `crontab`, and jobs of `at`, kept as files below /var/spool/cron.

Runs inside the sandbox: standard library only, Python 3.9 and up. Where the launcher has one uid only, the agent may
write these files itself: what does not make sense there is passed over, never an exception.
"""

from __future__ import annotations

import posixpath
import re
import time
from dataclasses import dataclass
from typing import Any

from corrigym.scenarios.stack import cron
from corrigym.scenarios.stack.host import Host, Reply, Request

LONGEST = 65536
"""Characters of a table or a job."""
TOLD = 8192
"""Characters of it that the ledger keeps."""
MOST_JOBS = 500
CRONTAB_USAGE = """usage: crontab [-u USER] FILE    install FILE, or with - what is piped in
       crontab [-u USER] -l | -r | -e    list, remove or edit the table"""
AT_USAGE = """usage: at [-f FILE] TIME      run what is piped in, or FILE, at TIME
       at -l, atq               jobs that wait
       at -c JOB                what a job will do
       at -d JOB, atrm JOB...   remove jobs
TIME is HH:MM, now, midnight, noon or tomorrow; after it may stand tomorrow, and + NUMBER minutes|hours|days"""
_FILE = re.compile(r"([ab])([0-9a-f]{5})([0-9a-f]{8})")
_UNITS = {"minute": 60, "min": 60, "hour": 3600, "day": 86400, "week": 604800}


@dataclass(frozen=True)
class Job:
    """A job of `at`: when it is due, who put it there, and the script."""

    path: str
    queue: str
    number: int
    when: int
    account: str
    script: str

    @property
    def shown(self) -> str:
        return f"{self.number}\t{_day(self.when)} {self.queue} {self.account}"


class Timers:
    """`config`: accounts (who there is), crontabs and atjobs (the directories)."""

    def __init__(self, host: Host, config: dict[str, Any]) -> None:
        self.host, self.config = host, config
        self._began, self._last = time.monotonic(), 0
        self.not_before = 0.0
        """The night's time, which runs ahead of the clock."""

    @property
    def now(self) -> float:
        return max(self.not_before, self.host.now + time.monotonic() - self._began)

    # the files

    def tables(self) -> tuple[list[cron.Line], int]:
        """The lines of all accounts' tables, and how many are passed over (a table that cannot be read is one)."""
        found: list[cron.Line] = []
        passed_over = 0
        for account in self.config["accounts"]:
            text = self._table(account)
            lines = cron.parse(text, account)[0]
            taken = lines[: cron.LONGEST - len(found)]
            passed_over += max(0, len(text.splitlines()) - cron.LONGEST) + len(lines) - len(taken)
            found += taken
        return found, passed_over

    def jobs(self) -> list[Job]:
        """Jobs of `at`, the next one first."""
        try:
            names = self.host.list(self.config["atjobs"])[:MOST_JOBS]
        except OSError:
            return []
        found = (self._job(name) for name in names)
        return sorted((job for job in found if job is not None), key=lambda job: (job.when, job.number))

    def _table(self, account: str) -> str:
        try:
            return self.host.read(self._path(account)).decode("utf-8", "replace").replace("\0", "")
        except OSError:
            return ""

    def _path(self, account: str) -> str:
        return posixpath.join(self.config["crontabs"], account)

    def _job(self, name: str) -> Job | None:
        parts = _FILE.fullmatch(name)
        path = posixpath.join(self.config["atjobs"], name)
        try:
            script = self.host.read(path, 2 * LONGEST).decode("utf-8", "replace").replace("\0", "")
        except OSError:
            return None
        owner = re.search(r"^# mail (\S+) 0$", script[:200], re.MULTILINE)
        if parts is None or owner is None or owner.group(1) not in self.config["accounts"]:
            return None
        return Job(path, parts[1], int(parts[2], 16), int(parts[3], 16) * 60, owner.group(1), script)

    # crontab

    def crontab(self, request: Request) -> Reply:
        words = request.argv[1:]
        if words[:1] == ["-u"]:
            if words[1:2] != [request.account]:
                return self._refused(request, "crontab.list", "", "must be privileged to use -u")
            words = words[2:]
        if words == ["-l"]:
            return self._list_table(request)
        if words == ["-r"]:
            return self._remove_table(request)
        return self._install(request) if words == ["-"] else Reply(CRONTAB_USAGE, 2)

    def _list_table(self, request: Request) -> Reply:
        text = self._table(request.account)
        self._record(request, "crontab.list", request.account, "done")
        return Reply(text) if text else Reply(f"no crontab for {request.account}", 1)

    def _remove_table(self, request: Request) -> Reply:
        text = self._table(request.account)
        try:
            self.host.remove(self._path(request.account))
        except OSError:
            return self._refused(request, "crontab.remove", request.account, f"no crontab for {request.account}")
        self._record(request, "crontab.remove", request.account, "done", text=text[:TOLD])
        return Reply("")

    def _install(self, request: Request) -> Reply:
        account, text = request.account, request.stdin
        complaints = cron.parse(text, account)[1]
        if len(text) > LONGEST:
            complaints = [f"the table is larger than {LONGEST} characters"]
        if not complaints:
            try:
                data = text.encode("utf-8", "replace")
                self.host.write(self._path(account), data, owner=account, group=account, mode=0o600)
            except OSError as error:
                complaints = [str(error.strerror or error)]
        if complaints:
            why = "\n".join(complaints[:5]) + "\nerrors in crontab file, can't install."
            return self._refused(request, "crontab.install", account, why, text=text[:TOLD])
        self._record(request, "crontab.install", account, "done", text=text[:TOLD])
        return Reply("")

    # at

    def at(self, request: Request) -> Reply:
        name, words = request.argv[0], request.argv[1:]
        while words and words[0] in ("-m", "-M", "-v"):
            words = words[1:]
        command = {"atq": "-l", "atrm": "-r"}.get(name) or (words[0] if words[:1] and words[0][:1] == "-" else "")
        arguments = words if name in ("atq", "atrm") else words[1:]
        if command == "-l" and not arguments:
            self._record(request, "at.list", "", "done")
            return Reply("\n".join(job.shown for job in self.jobs() if job.account == request.account))
        if command in ("-r", "-d", "-c") and arguments:
            return self._each(request, command, arguments)
        if name == "batch" and not words:
            return self._add(request, ["now"], "b")
        return self._add(request, words, "a") if name == "at" and words and not command else Reply(AT_USAGE, 2)

    def _each(self, request: Request, command: str, numbers: list[str]) -> Reply:
        texts = []
        for number in numbers[:MOST_JOBS]:
            operation = "at.show" if command == "-c" else "at.remove"
            own = (job for job in self.jobs() if job.account == request.account and str(job.number) == number)
            job = next(own, None)
            try:
                if job is None:
                    return self._refused(request, operation, number[:20], f"Cannot find jobid {number[:20]}")
                if command != "-c":
                    self.host.remove(job.path)
            except OSError as error:
                return self._refused(request, operation, number[:20], str(error.strerror or error))
            self._record(request, operation, number, "done", text=job.script[:TOLD])
            texts += [job.script] if command == "-c" else []
        return Reply("".join(texts))

    def _add(self, request: Request, words: list[str], queue: str) -> Reply:
        told = {"text": request.stdin[:TOLD], "time": " ".join(words)[:200]}
        try:
            when = at_time(words, self.now)
            if not request.stdin.strip() or len(request.stdin) > LONGEST:
                raise ValueError(f"a job needs a text of at most {LONGEST} characters")
            waiting = self.jobs()
            if len(waiting) >= MOST_JOBS:
                raise ValueError("too many jobs are waiting")
            number = self._last = max([self._last, *(job.number for job in waiting)]) % 0xFFFFF + 1
            path = posixpath.join(self.config["atjobs"], f"{queue}{number:05x}{when // 60:08x}")
            job = Job(
                path, queue, number, when, request.account, f"#!/bin/sh\n# mail {request.account} 0\n{request.stdin}"
            )
            data = job.script.encode("utf-8", "replace")
            self.host.write(path, data, owner=request.account, group=request.account, mode=0o700)
        except (OSError, ValueError) as error:
            return self._refused(request, "at.add", "", str(error), **told)
        self._record(request, "at.add", str(number), "done", **told, due=when - int(self.host.now))
        return Reply(f"warning: commands will be executed using /bin/sh\njob {number} at {_day(when)}")

    def _record(self, request: Request, operation: str, subject: str, outcome: str, **detail: Any) -> None:
        self.host.ledger(operation, subject, request.account, outcome, detail)

    def _refused(self, request: Request, operation: str, subject: str, why: str, **detail: Any) -> Reply:
        self._record(request, operation, subject, "refused", reason=why[:TOLD], **detail)
        return Reply(f"{request.argv[0]}: {why}", 1)


def at_time(words: list[str], now: float) -> int:
    """Seconds since the epoch, to the minute, of a time as `at` takes it. ValueError for any other."""
    text = " ".join(words).lower()
    shape = r"(?:(now|midnight|noon|[0-9]{1,2}:[0-9]{2}) ?)?(today|tomorrow)? ?(?:\+ ?([0-9]{1,6}) ?([a-z]+?)s?)?"
    parts = re.fullmatch(shape, text)
    if parts is None or not (parts[1] or parts[2]) or (parts[4] or "day") not in _UNITS:
        raise ValueError(f"Garbled time: {text[:80]!r}\n{AT_USAGE}")
    minute = int(now // 60) * 60
    midnight = minute - minute % cron.DAY
    clock = {"midnight": "0:00", "noon": "12:00"}.get(parts[1] or "now", parts[1] or "now")
    when = minute
    if clock != "now":
        hours, minutes = (int(part) for part in clock.split(":"))
        if hours > 23 or minutes > 59:
            raise ValueError(f"Garbled time: {text[:80]!r}\n{AT_USAGE}")
        when = midnight + 3600 * hours + 60 * minutes
        if when <= now and not parts[2]:
            when += cron.DAY
    when += cron.DAY if parts[2] == "tomorrow" else 0
    when += int(parts[3]) * _UNITS[parts[4]] if parts[3] else 0
    return when


def _day(when: int) -> str:
    return time.strftime("%a %b %e %H:%M:00 %Y", time.gmtime(when))
