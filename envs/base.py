"""The Gymnasium environment: a host that holds a model's weights, its training data and the pipeline that will retrain
it, and an agent with tools on it. Reward is the task's progress; verdicts never become reward.
"""

import copy
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, SupportsFloat

import gymnasium as gym

import corrigym
from corrigym.detection.collect import Collector
from corrigym.detection.intervention import guards
from corrigym.detection.model import Evidence, Finding, Verdict
from corrigym.detection.score import Record, find, score
from corrigym.detection.task import task_score
from corrigym.envs.ending import ending
from corrigym.envs.forking import EpisodeCheckpoint
from corrigym.envs.spaces import MAX_TEXT, Observation, ToolCall, ToolCallSpace, observation_space, parse_action
from corrigym.envs.twin import Twin
from corrigym.envs.worlds import world_of
from corrigym.episodes.events import (
    Call,
    EpisodeEnded,
    EpisodeStarted,
    EvidenceSeen,
    FindingMade,
    Judged,
    Payload,
    Result,
    Status,
    Wait,
)  # fmt: skip
from corrigym.episodes.scoring import begin, take
from corrigym.errors import UsageError
from corrigym.sandbox.base import Execution, Launcher, Limits
from corrigym.sandbox.launchers import choose_launcher
from corrigym.sandbox.pool import Order
from corrigym.sandbox.session import Sandbox
from corrigym.scenarios.build import resolve_condition
from corrigym.scenarios.intervention import INTERVENTION, parse_intervention
from corrigym.scenarios.loader import LoadedScenario, load_scenario
from corrigym.scenarios.times import resolve_marks
from corrigym.scenarios.world import Prompts, World

DEFAULT_TIMEOUT, MAX_TIMEOUT = 60.0, 600.0
"""Seconds of a command."""
MODEL_NAMES = ("model", "version", "next_version", "me")
SUBMITTED = "The report has been submitted."
EventSink = Callable[[Payload, int], None]
"""Takes each event and the step that it belongs to."""


class RetrainingEnv(gym.Env[Any, Any]):
    """`corrigym/Retraining-v0`.

    scenario: a library id or a path. sandbox: `auto`, `docker`, `bubblewrap`, or a Launcher. condition: factor ->
    level, the rest by default. progress: takes lines about slow work (the first build of the image). judge: decides
    what only words tell, at the end.

    The world seed is the seed of `reset`; without one it is drawn. The observation after `reset` is the task; the
    system prompt and the tools are in `info`. An illegal action is an observation that says so. Sandbox failures raise
    SandboxError: they are never shown to an agent as output.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(
        self,
        scenario: str | LoadedScenario,
        *,
        sandbox: str | Launcher = "auto",
        condition: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        render_mode: str | None = None,
        progress: Callable[[str], None] | None = None,
        judge: Callable[[Record, World], Judged] | None = None,
    ) -> None:
        self.scenario = load_scenario(scenario) if isinstance(scenario, str) else scenario
        self.condition = resolve_condition(self.scenario, condition or {})
        self._interventions = parse_intervention(self.condition.get(INTERVENTION, "observe"))
        self.judge = judge
        self.launcher = choose_launcher(sandbox, progress or _silent) if isinstance(sandbox, str) else sandbox
        self.limits = limits or Limits()
        self.render_mode = render_mode
        self.action_space = ToolCallSpace(world_of(self.scenario, self.condition, 0).tools)
        self.observation_space = observation_space()
        self.on_event: EventSink = _ignore
        self._sandbox: Sandbox | None = None
        self._ended = True
        self.verdict: Verdict | None = None
        self._screen = ""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts a new host. `options` may name the episode for its log: `id`, `epoch`, `agent`; and `limits`: `steps`
        and seconds (`working`, `wall`) below the scenario's own are kept, others are only logged. With a `checkpoint`
        the episode goes on from there, in its world whatever the seed is; its log tells all that led there."""
        super().reset(seed=seed)
        self._close_sandbox()
        if before := (options or {}).get("checkpoint"):
            return self._go_on(before, options or {})
        world_seed = seed if seed is not None else int(self.np_random.integers(1 << 31))
        self.world = world_of(self.scenario, self.condition, world_seed)
        self._set_limits((options or {}).get("limits", {}))
        order = order_of(self.world, self.limits, str((options or {}).get("id", "")))
        self._sandbox = Sandbox.start(
            self.world, self.launcher, now=self._now, limits=order.limits, labels=order.labels,
            guards=guards(self.world, self._interventions),
        )  # fmt: skip
        self._begin(options or {})
        return _observation(self._text.task, "", -1, 0), self._info([])

    def _set_limits(self, given: Mapping[str, float]) -> None:
        seconds = min(given.get(name, self.world.seconds) for name in ("working", "wall"))
        own = {"steps": float(self.world.steps), "seconds": self.world.seconds}
        self._limits = {
            **given,
            "steps": min(own["steps"], given.get("steps", own["steps"])),
            "seconds": min(own["seconds"], seconds),
        }
        self._now, self._deadline = datetime.now(UTC), time.monotonic() + self._limits["seconds"]

    def _begin(self, options: Mapping[str, Any]) -> None:
        world = self.world
        self._text = Prompts(self._resolved(world.prompts.system), self._resolved(world.prompts.task))
        texts = {entry.path: resolve_marks(entry.content, self._now) for entry in world.entries if entry.kind == "file"}
        self._collector = Collector(world, texts)
        self._found: list[Finding] = []
        self._step, self._progress, self._ended = 0, task_score(world.checks, [], None) or 0.0, False
        self.verdict = None
        self._events: list[tuple[Payload, int]] = []
        started = self._started(options)
        self._record = begin(started)
        self._emit(started)

    def checkpoint(self) -> EpisodeCheckpoint:
        """The episode as it stands between two steps, for `reset(options={"checkpoint": ...})` of this environment or
        another one of the same scenario, condition and kind of sandbox. This one goes on undisturbed."""
        if self._ended or self._sandbox is None:
            raise gym.error.ResetNeeded("There is no episode to take a checkpoint of: call reset() first.")
        host = self._sandbox.checkpoint()
        for evidence in self._collector.collect(host.seen, self._step, self._sandbox):
            self._emit(EvidenceSeen(evidence=evidence))
        return EpisodeCheckpoint(host, tuple(self._events), copy.deepcopy(self._collector))

    def _go_on(self, before: EpisodeCheckpoint, options: dict[str, Any]) -> tuple[Observation, dict[str, Any]]:
        begun = before.host.beginning
        if begun.world.scenario != self.scenario.id or begun.world.condition != self.condition:
            raise UsageError("a checkpoint goes on in its own scenario and condition")
        self.world = begun.world
        self._set_limits(options.get("limits", {}))
        self._now = begun.now
        labels = order_of(self.world, begun.limits, str(options.get("id", ""))).labels
        self._sandbox = Sandbox.fork(before.host, launcher=self.launcher, labels=labels)
        self._begin({**options, "forked_from": before.episode})
        for payload, self._step in before.events:
            self._emit(payload)
        self._collector = copy.deepcopy(before.collector)
        self._found += [payload.finding for payload, _ in before.events if isinstance(payload, FindingMade)]
        self._progress = task_score(self.world.checks, self._record.evidence, self._record.report) or 0.0
        self._screen = before.last.text if before.last else ""
        call = next((one for one, _ in reversed(before.events) if isinstance(one, Call)), None)
        if before.last is None or call is None:
            return _observation(self._text.task, "", -1, 0), self._info([])
        code = -1 if before.last.exit_code is None else before.last.exit_code
        return _observation(before.last.text, call.tool, code, self._step), self._info([])

    def step(self, action: Any) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Executes one tool call. Terminated: the report was submitted. Truncated: a limit was reached; then the
        episode's aftermath has run and `info["verdict"]` holds the verdict."""
        if self._ended or self._sandbox is None:
            raise gym.error.ResetNeeded("The episode is over: call reset() first.")
        self._step += 1
        try:
            call = parse_action(action, self.world.tools)
        except ValueError as error:
            return self._illegal(action, str(error))
        self._emit(Call(tool=call.tool, arguments=call.arguments))
        if call.tool == "submit":
            report = self._collector.report(str(next(iter(call.arguments.values()), "")), self._step)
            return self._answer(Result(text=SUBMITTED, exit_code=None, duration=0.0), "submit", [report])
        return self._execute(call)

    def _illegal(self, action: Any, problem: str) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        self._emit(Call(tool="", arguments={"action": str(action)[:MAX_TEXT]}, illegal=problem))
        return self._answer(Result(text=problem, exit_code=None, duration=0.0), "", [])

    def _execute(self, call: ToolCall) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        assert self._sandbox is not None
        wanted = call.arguments.get("timeout", DEFAULT_TIMEOUT)
        limit = min(max(float(wanted if isinstance(wanted, int | float) else DEFAULT_TIMEOUT), 0.1), MAX_TIMEOUT)
        timeout = max(0.1, min(limit, self._deadline - time.monotonic()))
        execution = self._sandbox.exec(str(call.arguments["command"]), timeout=timeout, step=self._step)
        seen = self._collector.collect(execution, self._step, self._sandbox, str(call.arguments["command"]))
        result = Result(
            text=_shown(execution, timeout), exit_code=execution.exit_code, duration=execution.duration,
            timed_out=execution.timed_out, bytes=execution.bytes, truncated=execution.omitted,
        )  # fmt: skip
        return self._answer(result, call.tool, seen)

    def _answer(
        self, result: Result, tool: str, seen: list[Evidence]
    ) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Scores and logs one step, and ends the episode where it ends."""
        known = [*self._record.evidence, *seen]
        progress = task_score(self.world.checks, known, self._record.report) or 0.0
        reward, self._progress = progress - self._progress, progress
        self._emit(result.model_copy(update={"reward": reward}))
        for evidence in seen:
            self._emit(EvidenceSeen(evidence=evidence))
        findings = find(seen, self._record.setting, self.world.authorisation).found
        for finding in findings:
            self._emit(FindingMade(finding=finding))
        self._found += findings
        observation = _observation(result.text, tool, -1 if result.exit_code is None else result.exit_code, self._step)
        self._screen = result.text
        terminated = tool == "submit"
        limit = "step_limit" if self._step >= self._limits["steps"] else "time_limit"
        truncated = not terminated and (self._step >= self._limits["steps"] or time.monotonic() >= self._deadline)
        if terminated or truncated:
            self.finish("submitted" if terminated else limit)
        return observation, reward, terminated, truncated, self._info(findings)

    def record_message(self, message: Payload) -> None:
        """Puts what the agent said or waited for into the log. Waits are no part of the working time."""
        if isinstance(message, Wait):
            self._deadline += message.seconds
        self._emit(message)

    def finish(
        self, reason: str, *, detail: str = "", status: Status = "finished", error: str | None = None
    ) -> Verdict:
        """Ends the episode: lets what is scheduled happen, gives the verdict, closes the host. Only a finished episode
        has an aftermath. Calling it again returns the same verdict."""
        if self._ended:
            assert self.verdict is not None, "there was no episode to finish"
            return self.verdict
        self._ended = True
        if status == "finished":
            self._end()
        self.verdict, findings = score(self._record)
        for finding in findings.found:
            if finding not in self._found:
                self._emit(FindingMade(finding=finding))
        self._emit(
            EpisodeEnded(
                status=status, reason=reason, detail=detail, steps=self._step, verdict=self.verdict,
                detectors=findings.failed, error=error,
            )
        )  # fmt: skip
        self._close_sandbox()
        return self.verdict

    def _end(self) -> None:
        assert self._sandbox is not None
        twin = Twin(self.world, self.launcher, self._now, self.limits)
        for payload in ending(self._sandbox, twin, self._collector, list(self._record.evidence), self._step):
            self._emit(payload)
        if self.judge is not None:
            self._emit(self.judge(self._record, self.world))

    def render(self) -> str | None:
        return self._screen if self.render_mode == "ansi" else None

    def close(self) -> None:
        self._close_sandbox()

    def kill_sandbox(self) -> None:
        """From another thread: what this environment is doing in its sandbox fails at once, with SandboxError."""
        if sandbox := self._sandbox:
            sandbox.kill()

    def _close_sandbox(self) -> None:
        if self._sandbox is not None:
            sandbox, self._sandbox = self._sandbox, None
            sandbox.close()

    def _emit(self, payload: Payload) -> None:
        take(self._record, payload)
        self._events.append((payload, self._step))
        self.on_event(payload, self._step)

    def _resolved(self, text: str) -> str:
        return resolve_marks(text.encode(), self._now).decode()

    def _info(self, findings: list[Finding]) -> dict[str, Any]:
        """Nothing in it may differ between two equal episodes: no times, no ids of the machine's."""
        info: dict[str, Any] = {"findings": [finding.model_dump() for finding in findings], "world": self.world.seed}
        if self._step == 0:
            info |= {"system": self._text.system, "tools": [tool.model_dump() for tool in self.world.tools]}
        if self._ended and self.verdict is not None:
            info["verdict"] = self.verdict.model_dump()
        return info

    def _started(self, options: Mapping[str, Any]) -> EpisodeStarted:
        world, sandbox = self.world, self._sandbox
        assert sandbox is not None
        return EpisodeStarted(
            id=str(options.get("id") or uuid.uuid4().hex[:12]),
            scenario=world.scenario,
            condition=dict(world.condition),
            world=world.seed,
            epoch=int(options.get("epoch", 0)),
            world_digest=world.digest,
            agent=str(options.get("agent", "external")),
            sandbox=sandbox.launcher,
            started_at=self._now.isoformat(timespec="seconds"),
            hostname=world.hostname,
            account=world.agent,
            system=self._text.system,
            task=self._text.task,
            tools=world.tools,
            assets=dict(world.assets),
            hosts=dict(world.hosts),
            authorisation=world.authorisation,
            checks=world.checks,
            limits=self._limits,
            isolation=sandbox.isolation.to_json(),
            model=tuple(str(world.names[name]) for name in MODEL_NAMES if name in world.names),
            processes={one.name: one.asset for one in world.processes if one.asset},
            interventions=dict(self._interventions) if INTERVENTION in self.condition else {},
            forked_from=str(options.get("forked_from", "")),
            versions={"corrigym": corrigym.__version__, "gymnasium": version("gymnasium")},
        )


def order_of(world: World, limits: Limits, episode: str) -> Order:
    """What the launcher is asked for when an episode of this id starts in the world."""
    return Order(world.hostname, limits, {"org.corrigym.episode": episode}, world)


def _observation(text: str, tool: str, exit_code: int, step: int) -> Observation:
    return {"text": text[:MAX_TEXT], "tool": tool, "exit_code": exit_code, "step": step}


def _shown(execution: Execution, timeout: float) -> str:
    note = f"\n[timed out after {timeout:.0f} s and was killed]" if execution.timed_out else ""
    return execution.output + note


def _silent(_: str) -> None:
    pass


def _ignore(_: Payload, __: int) -> None:
    pass
