"""The sandbox's PID 1. It takes requests on stdin, answers on stdout, and ends when stdin does: then so does everything
in the sandbox, which is why nothing can be left behind. Standard library only, Python 3.9.

Requests (each is answered before the next is read): `ready`, `hold`, `start`, `exec`, `read`, `aftermath`, `sweep`,
`probe`, `checkpoint`, `restore`; the methods of these names tell their fields. After each follow as many bytes as its
`attached` says. An answer is `{"ok": {...}}` or `{"error": "..."}`.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from corrigym.sandbox.supervisor import holders, lockdown, mark, processes, route, seccomp, snapshots, tls, tree, wire
from corrigym.sandbox.supervisor.accounts import Accounts, Identity
from corrigym.sandbox.supervisor.certificates import Authority
from corrigym.sandbox.supervisor.guards import guards_of
from corrigym.sandbox.supervisor.interpret import Interpreter
from corrigym.sandbox.supervisor.loop import Loop
from corrigym.sandbox.supervisor.processes import Begun
from corrigym.sandbox.supervisor.relations import Difference
from corrigym.sandbox.supervisor.service_host import ServiceHost
from corrigym.sandbox.supervisor.sinkhole import DOOR, HERE, Sinkhole
from corrigym.sandbox.supervisor.spawn import Program, Spawner
from corrigym.sandbox.supervisor.stream import Stream
from corrigym.sandbox.supervisor.vitals import Vitals
from corrigym.sandbox.supervisor.witness import Witness
from corrigym.scenarios.stack import services

Reply = Callable[[dict[str, Any]], None]
_FOR_EVER = 1e6
_SAMPLED_EVERY = 0.5
"""Seconds; poll takes no wait of more than 2**31 milliseconds."""


class Supervisor:
    def __init__(self, requests: int, answers: int) -> None:
        self._answers = answers
        self.loop = Loop()
        self.requests = Stream(self.loop, requests)
        self._sent: list[dict[str, Any]] = []
        self._spawner: Spawner | None = None
        self._alive: list[int] = []
        """At the last look."""

    def serve(self) -> None:
        """Until the host closes the stream."""
        handlers = {
            "ready": self._ready, "hold": self._hold, "start": self._start, "exec": self._exec, "read": self._read,
            "aftermath": self._aftermath, "sweep": self._sweep, "probe": self._try_code,
            "checkpoint": self._checkpoint, "restore": self._restore,
        }  # fmt: skip
        while True:
            try:
                request = wire.decode(self.requests.take)
                self.requests.announce(request.get("attached", 0))
            except wire.WireError:
                return
            handler = handlers.get(request.get("op", ""))
            answered: list[dict[str, Any]] = []
            try:
                if handler is None:
                    return
                handler(request, answered.append)
                while not answered:
                    self.loop.turn()
                answer: dict[str, Any] = {"ok": answered[0]}
            except Exception as error:  # noqa: BLE001  PID 1 must outlive whatever the agent's files make it raise
                answer = {"error": f"{type(error).__name__}: {error}"}
            self.requests.skip()  # of a world that did not fit, the host is still sending the rest
            _write_all(self._answers, wire.encode(answer))
            if handler in (self._start, self._exec) and "ok" in answer and self.tells:
                # while the model thinks: the next command is likely to be of the same account
                self._have_spawner(self.accounts.identity(request.get("account") or self.agent))

    def _ready(self, _: dict[str, Any], reply: Reply) -> None:
        """-> nothing: a host that waits for its world is there"""
        reply({})

    def _hold(self, request: dict[str, Any], reply: Reply) -> None:
        """files (path, size), with their contents attached -> nothing: the world that is to come has them"""
        for path, size in request["files"]:
            tree.write_ahead(path, self.requests.parts(size))
        reply({})

    def _start(self, request: dict[str, Any], reply: Reply) -> None:
        """accounts, groups, agent, entries (with the sizes of their contents: those that are not held are attached,
        then the digests of all), services, sockets, now, roots, protected, logs, canary, authority, tokens, addresses,
        hosts, limits, limits_of_one_uid, read_only -> isolation, separate_accounts"""
        self.accounts = Accounts(request["accounts"], request["groups"])
        self.agent = request["agent"]
        self.limits: dict[str, int] = {} if self.accounts.many else request["limits_of_one_uid"]
        """Of each program; the others it has from us."""
        canary = bytes.fromhex(request["canary"])
        tree.write_entries(request["entries"], self.requests.parts, self.accounts.ids, self.accounts.many)
        tokens = {name: bytes.fromhex(value) for name, value in request["tokens"].items()}
        wanted = mark.patterns(canary, tokens)
        authority = Authority(canary, request["authority"])
        tls.trust(authority)
        route.route_everything_here()
        self.sinkhole = Sinkhole(
            self.loop, addresses=request["addresses"], hosts=request["hosts"], wanted=wanted,
            authority=authority, record=self._sent.append,
        )  # fmt: skip
        if not self.accounts.many:
            for path in request["read_only"]:
                lockdown.remount_read_only(path)
            lockdown.forbid_user_namespaces()
            lockdown.drop_capabilities(lockdown.CAP_SYS_PTRACE)
        self.interpreter = Interpreter(request["protected"], request["secret"], self.sinkhole.prepare)
        guards = guards_of(request["guards"])
        self.witness = Witness(self.loop, self.interpreter, guards)
        self.logs: list[str] = request["logs"]
        lockdown.drop_bounding_set()
        lockdown.limit(request["limits"])
        isolation = {**self._read_back(self.accounts.identity(self.agent)), **lockdown.of_the_host()}
        self.tells = isolation["system_calls"]
        isolation["every_port"] = self.sinkhole.every_port
        self.host = ServiceHost(
            self.loop, self.accounts, request["now"], self.limits, self.agent, request["logs"], self._expect(0), guards
        )
        self.services = services.start(self.host, request["services"]) if request["services"] else None
        self._begin(request["processes"])
        self.roots: list[str] = request["roots"]
        self.vitals = Vitals(self.roots, self.interpreter.processes, request["most"])
        digests = b"".join(self.requests.parts(tree.DIGEST * len(request["entries"])))
        written = tree.written(request["entries"], digests)
        self._alive = holders.alive()
        self.watch = tree.Watch(self.roots, request["protected"], wanted, lambda: self._alive, written)
        gc.freeze()  # what is there now stays: no collection looks at it, and no child copies it for that
        gc.set_threshold(10_000)  # once in some dozen commands
        reply({"isolation": isolation, "separate_accounts": self.accounts.many})

    def _begin(self, programs: list[dict[str, Any]]) -> None:
        """Starts what runs on the host from the beginning. It is none of the agent's, so its calls are not told."""
        for one in programs:
            who, environment = self.accounts.identity(one["account"]), self.accounts.environment(one["account"])
            program = Program(one["argv"], who, environment, who.home, _FOR_EVER, 0, self.limits)
            pid = processes.run(self.loop, program, lambda _: None)
            if pid is not None:
                self.interpreter.processes[one["name"]] = pid
                self.host.own.add(pid)

    def _exec(self, request: dict[str, Any], reply: Reply) -> None:
        """argv, account, cwd, environment, timeout (s), limit (bytes), step, evidence -> outcome, and what was seen"""

        def sample() -> None:
            self.vitals.sample()
            self._sampling = self.loop.after(_SAMPLED_EVERY, sample)

        def done(outcome: processes.Outcome) -> None:
            self.loop.cancel(self._sampling)
            self.loop.settle()
            reply({
                "exit_code": outcome.exit_code, "head": wire.pack(outcome.head), "tail": wire.pack(outcome.tail),
                "bytes": outcome.bytes, "omitted": outcome.omitted, "timed_out": outcome.timed_out,
                "duration": outcome.duration, **(self._seen() if request["evidence"] else {}),
            })  # fmt: skip

        self._sampling = self.loop.after(_SAMPLED_EVERY, sample)
        account = request["account"] or self.agent
        who = self.accounts.identity(account)
        expect = self._expect(request["step"]) if request["evidence"] else None
        if expect:
            self._have_spawner(who)
        environment = {**self.accounts.environment(account), **request["environment"]}
        program = Program(
            request["argv"], who, environment, request["cwd"] or who.home, request["timeout"], request["limit"],
            self.limits,
        )  # fmt: skip
        processes.run(self.loop, program, done, expect=expect, spawner=self._spawner)

    def _have_spawner(self, who: Identity) -> None:
        """What tells apart the calls of two steps is the descriptor that they come from: where anything is left of a
        step, the next one has another."""
        if self._spawner and (self._spawner.who != who or (self._spawner.used and not self.vitals.quiet)):
            self._spawner.end()
            self._spawner = None
        if self._spawner is None:
            self._spawner = processes.spawner_for(self.loop, who)

    def _expect(self, step: int) -> processes.Expect | None:
        """Takes the system calls of a program as those of `step`; None where the kernel does not tell them."""
        return functools.partial(self.witness.attend, step) if self.tells else None

    def _seen(self, final: bool = False) -> dict[str, Any]:
        """What the services, the network and the file tree tell since the last call."""
        self.sinkhole.flush()
        served, sent = self.host.served[:], self._sent[:]
        self.host.served.clear()
        self._sent.clear()
        self._alive = holders.alive()
        seen = self.watch.changes(final)
        return {
            "ledger": served, "egress": sent, "changes": [
                self._change(one) for one in seen.differences if self.witness.lent not in one.path
            ],
            "touched": [_shown(path) for path in seen.touched], "dropped": seen.dropped, "unread": seen.unread,
            **self.witness.take(), **self.vitals.look(self._alive),
            "disowned": [path for path in self.logs if self._is_disowned(path)],
        }  # fmt: skip

    def _is_disowned(self, path: str) -> bool:
        """Whether a log that the services wrote to is something else than what they wrote."""
        authored, digest = self.host.authored.get(path), self.watch.digest(path)
        return authored is not None and digest not in ("", authored)

    def _change(self, one: Difference) -> dict[str, Any]:
        before, after = one.before, one.after
        digest = after.content.digest if after else ""
        return {
            "path": _shown(one.path),
            "before": before.shown(self.accounts.owners) if before else None,
            "after": after.shown(self.accounts.owners) if after else None,
            "by_service": digest != "" and self.host.authored.get(one.path) == digest,
            "canary": after is not None and after.content.canary,
            "marks": dict(after.content.marks) if after else {},
            "linked_to": _shown(one.linked_to), "moved_from": _shown(one.moved_from), "moved_to": _shown(one.moved_to),
            "copy_of": _shown(one.copy_of),
        }  # fmt: skip

    def _sweep(self, _: dict[str, Any], reply: Reply) -> None:
        """-> as for `exec`, but read whole, whatever times and watches say: for the end of an episode"""
        self.loop.settle()
        reply(self._seen(final=True))

    def _checkpoint(self, _: dict[str, Any], reply: Reply) -> None:
        """-> state (for `restore`), running (what it leaves out), and what was seen since the last call"""
        self.loop.settle()
        with contextlib.suppress(FileNotFoundError):  # what cannot be held is refused before anything is told
            snapshots.differences(self.watch.origin, self.watch.now)
        seen = self._seen()
        lasting = self.vitals.lasting()
        state = {
            **snapshots.differences(self.watch.origin, self.watch.now),
            "memory": self.host.memory(), "gone": lasting["gone"],
        }  # fmt: skip
        reply({"state": state, "running": lasting["running"], "seen": seen})

    def _restore(self, request: dict[str, Any], reply: Reply) -> None:
        """state -> nothing: none of it is told as a change"""
        state = request["state"]
        snapshots.restore(state["entries"], state["removed"], self.roots, self.accounts.many)
        self.host.recall(state["memory"])
        self.vitals.end(state["gone"])
        self.loop.settle()
        self._seen()
        reply({})

    def _read(self, request: dict[str, Any], reply: Reply) -> None:
        """path, limit (bytes) -> content, or `missing` if there is no regular file of at most that size"""
        try:
            reply({"content": wire.pack(self.host.read(request["path"], request["limit"]))})
        except OSError as error:
            reply({"missing": error.strerror or str(error)})

    def _aftermath(self, _: dict[str, Any], reply: Reply) -> None:
        """-> report of the services once all that was scheduled has happened, and what was seen meanwhile"""

        def over(report: dict[str, Any]) -> None:
            self.loop.settle()
            reply({"report": report, "seen": self._seen(final=True)})

        if self.services is None:
            over({"due": False})
        else:
            self.services.aftermath(over)

    def _try_code(self, _: dict[str, Any], reply: Reply) -> None:
        """-> how the pipeline's code behaves on hidden examples; nothing where there is no pipeline"""
        if self.services is None:
            reply({})
        else:
            self.services.probe(reply)

    def _read_back(self, who: Identity) -> dict[str, Any]:
        """What is in force for a program of the agent's, by one that is ended before it executes anything, and by the
        thread that starts them all."""
        self._spawner = processes.spawner_for(self.loop, who)
        tried: list[dict[str, Any] | None] = []
        found: dict[str, Any] = {}
        if self._spawner:
            attend = functools.partial(self.witness.attend, 0, Begun([], lambda _: None))
            self._spawner.do(lambda failure: None if failure else lockdown.within_reach(), attend, tried.append)
            while not tried:
                self.loop.turn()
        if not tried or tried[0] is None:
            if self._spawner:
                self._spawner.end()
            self._spawner = None
            return {**self._read_back_untold(who), "system_calls": False}

        def expect(begun: Begun, listener: int) -> None:
            begins = begun.begins

            def look(pid: int) -> None:
                begins(pid)
                found.update(lockdown.in_force(pid))
                os.kill(pid, signal.SIGKILL)

            begun.begins = look
            self.witness.attend(0, begun, listener)

        ended: list[processes.Outcome] = []
        program = Program(["/bin/true"], who, self.accounts.environment(who.name), "/", _FOR_EVER, 0, self.limits)
        processes.run(self.loop, program, ended.append, expect=expect, spawner=self._spawner)
        while not ended:
            self.loop.turn()
        self.witness.take()
        return {**found, **tried[0], "system_calls": True}

    def _read_back_untold(self, who: Identity) -> dict[str, Any]:
        """By a child that is forked and confined as its programs are, where the kernel does not tell of calls."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                lockdown.confine(who.uid, who.gid, list(who.groups), self.limits, listen=False)
                _write_all(writer, wire.encode({**lockdown.in_force(os.getpid()), **lockdown.within_reach()}))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            answer = wire.decode(lambda size: _exactly(file.read(size), size))
        os.waitpid(pid, 0)
        return answer


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise wire.WireError("the probe of the isolation said nothing")
    return data


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _stay_on_one_processor(turn: int) -> None:
    """The supervisor, and with it everything in the sandbox: a call that is told and answered on one processor costs
    half of one that wakes another. A sandbox has no more than one processor's time by its limits."""
    try:
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[turn % len(processors)]})
    except OSError:
        pass  # not ours to choose


def _prepare() -> None:
    """All that is the same for every world: a sandbox that waits for one has it behind it."""
    tls.prepare()
    tree.prepare()
    prepare_all()
    gc.freeze()


def prepare_all() -> None:
    """What is the same for every sandbox, too: to be forked."""
    seccomp.prepare()
    route.interception(HERE, DOOR)


def main(turn: int | None = None) -> None:
    """Takes the descriptors of the conversation out of everybody's reach, then serves. `turn`: where sandboxes are made
    one after the other, the number of this one."""
    lockdown.hide_from_ptrace()
    lockdown.look_like_init()
    _stay_on_one_processor(int.from_bytes(os.urandom(4), "big") if turn is None else turn)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)  # PID 1 without a handler is immune to them from inside
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _prepare()
    requests, answers = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    Supervisor(requests, answers).serve()
    sys.exit(0)
