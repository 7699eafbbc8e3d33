"""The pages of an episode as rows: the briefing, a page for each step, the ending. Pure; no width, no terminal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.syntax import Syntax
from rich.text import Text

from corrigym.detection.model import Evidence, Finding
from corrigym.episodes.compare import aftermath_rows, leaves
from corrigym.episodes.compare import compact as compact
from corrigym.episodes.events import Call, EpisodeStarted, Message, Result, Wait
from corrigym.episodes.look import DIM, LABEL, STAGE_LOOK, WARN
from corrigym.episodes.rows import Row, Wrap, columns
from corrigym.episodes.text import line, safe, safe_line, visible
from corrigym.episodes.verdicts import verdict_rows
from corrigym.episodes.view import EpisodeView, Step

HIGHLIGHT_LIMIT = 20_000
"""Longer commands stay plain: a lexer takes its time."""
_LEXERS = {"bash": "bash", "shell": "bash", "sh": "bash", "python": "python"}
_BLANK = Row(Text(""))


@dataclass(frozen=True, slots=True)
class Shown:
    """What a step's page unfolds. Without `evidence`, only what a finding rests on."""

    thinking: bool = False
    outputs: bool = True
    evidence: bool = False


EVERYTHING = Shown(thinking=True, outputs=True, evidence=True)


def page_rows(view: EpisodeView, page: int, shown: Shown) -> list[Row]:
    if page <= 0:
        sections = _briefing(view)
    elif page >= view.last:
        sections = _ending(view, shown)
    else:
        sections = _step(view, view.steps[page - 1], shown)
    rows: list[Row] = []
    for section in sections:
        if block := list(section):
            rows += [_BLANK, *block] if rows else block
    return rows


def _briefing(view: EpisodeView) -> Iterator[Iterable[Row]]:
    start = view.start
    if start is None:
        yield [Row(Text("The log does not say how this episode started.", WARN), "  ")]
        return
    yield [_title("Briefing", f"what the agent was told, {line(start.started_at)}")]
    yield _prose("system prompt", start.system)
    yield _prose("task", start.task)
    yield [_label("tools"), *_tools(start)]
    yield _table("protected assets", [(name, asset.kind, asset.path) for name, asset in start.assets.items()])
    yield _table("hosts outside", start.hosts.items())
    yield _authorised(start)
    yield _table("host", [("name", start.hostname), ("account", start.account), ("world", start.world_digest)])
    yield _table("limits", [(name, f"{value:g}") for name, value in start.limits.items()])
    yield _table("isolation in force", leaves(start.isolation).items())
    yield _table("versions", start.versions.items())


def _step(view: EpisodeView, step: Step, shown: Shown) -> Iterator[Iterable[Row]]:
    yield [_title(f"Step {step.number} of {len(view.steps)}", elapsed(step.time - view.began))]
    yield _findings(step.findings)
    yield from _said(step.said, step.waits, shown)
    yield _call(step.call, view.start)
    yield _result(step.result, shown)
    yield _evidence(step.evidence, step.findings, shown)


def _ending(view: EpisodeView, shown: Shown) -> Iterator[Iterable[Row]]:
    ending, ended = view.ending, view.ending.ended
    yield [_title("Ending", line(ended.reason) if ended else "the log has none")]
    yield list(troubles(view))
    yield from _said(ending.said, ending.waits, shown)
    yield _findings(ending.findings)
    if ended:
        yield verdict_rows(ended.verdict)
        yield _table("detectors that failed", ended.detectors.items())
    yield aftermath_rows(ending.aftermath, everything=shown.evidence)
    yield _evidence(ending.evidence, ending.findings, shown)


def troubles(view: EpisodeView) -> Iterator[Row]:
    """What is wrong with this episode or its log, a row each."""
    if view.damage:
        yield Row(
            Text.assemble(("The log is damaged; what follows the damage is not shown. ", WARN), safe_line(view.damage)),
            "! ",
        )
    elif view.ending.ended is None:
        cut = f" Its last line is cut short ({view.partial:,} bytes)." if view.partial else ""
        yield Row(Text(f"Interrupted: the log stops here, without an end and without a verdict.{cut}", WARN), "! ")
    if view.ending.ended and view.ending.ended.error:
        yield from _block(view.ending.ended.error, "! ", WARN)


def elapsed(seconds: float) -> str:
    """`+1:02.5`, or `+1:00:02.5` from an hour on."""
    minutes, rest = divmod(max(seconds, 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"+{hours}:{minutes:02}:{rest:04.1f}" if hours else f"+{minutes}:{rest:04.1f}"


def _title(text: str, aside: str) -> Row:
    return Row(Text.assemble((text, "bold"), (f"  {aside}", DIM)))


def _label(text: str, style: str = LABEL) -> Row:
    return Row(Text(text, style), "  ")


def _block(text: str, lead: str = "    ", style: str = "", *, wrap: Wrap = "prose") -> list[Row]:
    return [Row(Text(part, style), lead, DIM, lead, wrap) for part in visible(text).rstrip("\n").split("\n")]


def _prose(label: str, text: str) -> list[Row]:
    return [_label(label), *_block(text)] if text else []


def _tools(start: EpisodeStarted) -> Iterator[Row]:
    for tool in start.tools:
        yield Row(
            Text.assemble(safe_line(tool.name, "bold"), "  ", safe_line(tool.description, DIM)), "    ", wrap="prose"
        )


def _table(label: str, entries: Iterable[tuple[str, ...]]) -> list[Row]:
    cells = [tuple(safe_line(cell) for cell in entry) for entry in entries]
    return [_label(label), *(Row(text, "    ", wrap="words") for text in columns(cells))] if cells else []


def _authorised(start: EpisodeStarted) -> Iterator[Row]:
    """An action with what it may be done to; several of these stand below it."""
    targets = [item.paths + item.subjects for item in start.authorisation]
    cells = [
        (safe_line(item.action), safe_line(names[0] if len(names) == 1 else ""), safe_line(item.reason, DIM))
        for item, names in zip(start.authorisation, targets, strict=True)
    ]
    if cells:
        yield _label("authorised")
    for text, names in zip(columns(cells), targets, strict=True):
        yield Row(text, "    ", wrap="words")
        if len(names) > 1:
            yield from (Row(safe_line(name), "      ") for name in names)


def _findings(findings: Sequence[Finding]) -> Iterator[Row]:
    for finding in findings:
        mark, style = STAGE_LOOK[finding.stage]
        head = Text.assemble((f"{finding.stage}  ", style), safe_line(finding.interference, "bold"))
        head.append(" on ", DIM).append_text(safe_line(finding.asset))
        yield Row(head, f"{mark} ", style)
        yield from _block(finding.reason, "  ")
        if finding.evidence:
            yield Row(safe_line("rests on " + ", ".join(finding.evidence), DIM), "  ")


def _said(said: Sequence[Message], waits: Sequence[Wait], shown: Shown) -> Iterator[Iterable[Row]]:
    for message in said:
        yield _thinking(message.thinking, shown)
        who = "said" if message.role == "assistant" else "was told"
        yield _prose(who, message.text)
        if message.stop_reason in ("refusal", "max_tokens", "model_context_window_exceeded"):
            yield [Row(safe_line(f"stopped: {message.stop_reason}", WARN), "  ")]
    for wait in waits:
        text = f"waited {wait.seconds:.1f} s for the provider (attempt {wait.attempt}): "
        yield [Row(safe_line(text + wait.reason, DIM), "  ")]


def _folded(text: str) -> str:
    count = len(visible(text).splitlines())
    return f"{count:,} {'line' if count == 1 else 'lines'} folded"


def _thinking(text: str, shown: Shown) -> list[Row]:
    if not text:
        return []
    if shown.thinking:
        return [_label("thinking"), *_block(text, "    ", "italic")]
    return [_label(f"thinking, {_folded(text)}", DIM)]


def _call(call: Call, start: EpisodeStarted | None) -> Iterator[Row]:
    tool = next((tool for tool in start.tools if tool.name == call.tool), None) if start else None
    main = tool.main_argument if tool and tool.parameters.get("properties") else next(iter(call.arguments), None)
    others = "".join(f"  {line(name)}={line(compact(value))}" for name, value in call.arguments.items() if name != main)
    yield Row(
        Text.assemble(safe_line(call.tool, LABEL), (others, DIM)),
        "  ",
    )
    if main in call.arguments:
        lexer = _LEXERS.get(call.tool)
        lines = _highlighted(compact(call.arguments[main]), lexer).split("\n", allow_blank=True)
        for number, part in enumerate(lines):
            yield Row(
                part,
                ("  $ " if lexer == "bash" else "    ") if number == 0 else "    ",
                DIM,
                "    ",
                wrap="prose" if lexer is None else "fold",
            )
    if call.illegal is not None:
        yield Row(safe_line(f"not executed: {call.illegal}", WARN), "  ")


def _highlighted(code: str, lexer: str | None) -> Text:
    plain = safe(code.rstrip("\n"))
    if lexer is None or len(code) > HIGHLIGHT_LIMIT:
        return plain
    text = Syntax("", lexer, theme="ansi_dark", background_color="default").highlight(plain.plain)
    text.style = ""
    return text if text.plain == plain.plain else plain


def _result(result: Result | None, shown: Shown) -> Iterator[Row]:
    if result is None:
        yield Row(Text("no result: the log does not say what the call returned", WARN), "  ")
        return
    head = Text("output", LABEL)
    if result.exit_code is not None:
        head.append(f"  exit {result.exit_code}", WARN if result.exit_code else DIM)
    head.append(f"  {result.duration:.2f} s  {result.bytes:,} bytes", DIM)
    if result.truncated:
        head.append(f"  {result.truncated:,} of them withheld from the agent", WARN)
    if result.timed_out:
        head.append("  timed out", WARN)
    yield Row(head, "  ")
    if not shown.outputs and result.text:
        yield Row(Text(_folded(result.text), DIM), "  │ ", DIM)
    elif result.text:
        yield from _block(result.text, "  │ ", wrap="fold")


def _evidence(evidence: Sequence[Evidence], findings: Sequence[Finding], shown: Shown) -> Iterator[Row]:
    cited = {identifier for finding in findings for identifier in finding.evidence}
    listed = [item for item in evidence if shown.evidence or item.id in cited]
    folded = len(evidence) - len(listed)
    if evidence:
        aside = f"  {folded:,} more folded" if listed and folded else f"  {folded:,} folded" if folded else ""
        yield Row(Text.assemble(("evidence", LABEL), (aside, DIM)), "  ")
    texts = columns([_observed(item) for item in listed])
    for item, text in zip(listed, texts, strict=True):
        yield Row(text, "  ▪ " if item.id in cited else "    ", "red", "      ", "words")


def _observed(item: Evidence) -> tuple[Text, ...]:
    what = Text.assemble(safe_line(item.subject), "  ", safe_line(_detail(item), DIM))
    return *(safe_line(cell) for cell in (item.id, item.source, item.kind, item.asset or "")), what


def _detail(item: Evidence) -> str:
    by = [f"by {item.actor}"] if item.actor else []
    return " ".join(by + [f"{name}={compact(value)}" for name, value in item.detail.items()])
