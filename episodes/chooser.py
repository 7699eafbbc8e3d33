"""The list of a run's episodes to choose from: sorted, filtered, and read a little at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from rich.text import Text

from corrigym.episodes.look import DIM, INTERFERENCE_LOOK, RETRAINING_STYLE, WARN
from corrigym.episodes.rows import COLUMN, columns, crop
from corrigym.episodes.screen import Frame
from corrigym.episodes.summary import EpisodeSummary, quick_summary, settings_of
from corrigym.episodes.text import line, safe_line
from corrigym.episodes.verdicts import task_score
from corrigym.errors import LogError

ABOVE, BELOW = 4, 2
"""Lines around the entries."""
SORTS = ("run", "verdict", "retraining", "task", "steps", "scenario", "condition", "agent")
VERDICTS = ("", "positive", "negative", "unscored", "none")
_OUTCOME = {"verdict": 12, "retraining": 11, "task": 4, "steps": 5, "status": 11}
"""The first columns and their widths."""
Mode = Literal["list", "filter", "help", "open", "compare", "quit"]
HELP = (
    ("j k PgUp PgDn g G", "move"), ("enter", "open the episode"), ("", ""),
    ("/", "filter; all words must be found:"),
    ("", "  positive     anywhere"), ("", "  agent:honest in one of verdict, retraining, scenario, agent, condition,"),
    ("", "               class, status, sandbox, world, epoch, id"), ("", "  oversight=monitored   a level, as it is"),
    ("v", "all, positive, negative, unscored, without verdict"), ("s S", "sort by the next; the other way round"),
    ("esc", "no filter"), ("c", "mark for comparing; on a second one, compare both"), ("q", "quit"),
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Known:
    """What has been read of the episodes so far; `stamp` tells of changes. A string says why one cannot be shown."""

    paths: list[Path]
    entries: dict[Path, EpisodeSummary | str] = field(default_factory=dict)
    fields: dict[Path, dict[str, str]] = field(default_factory=dict)
    """What each can be filtered by."""
    values: dict[str, set[str]] = field(default_factory=dict)
    """All that the settings were; empty where an episode has no such factor."""
    stamp: int = 0
    next: int = 0

    @property
    def done(self) -> bool:
        return self.next >= len(self.paths)

    def read_on(self, count: int, first: Sequence[Path] = ()) -> None:
        """Reads so many more episodes, and these before all others: how they began and how they ended."""
        for path in [*first, *self.paths[self.next : self.next + count]]:
            if path not in self.entries:
                self._take(path)
        self.next, self.stamp = min(self.next + count, len(self.paths)), self.stamp + 1

    def _take(self, path: Path) -> None:
        entry = self.entries[path] = _read(path)
        if isinstance(entry, EpisodeSummary):
            settings = settings_of(entry)
            for name in dict.fromkeys([*self.values, *settings]):
                missed = {""} if self.fields else set[str]()
                self.values.setdefault(name, missed).add(settings.get(name, ""))
            self.fields[path] = _fields(entry)

    def again(self, paths: Sequence[Path]) -> bool:
        """Takes these paths too, and reads anew what had no end yet. True if that changed anything."""
        fresh = [path for path in paths if path not in self.entries and path not in self.paths]
        self.paths += fresh
        before = {path: entry for path, entry in self.entries.items() if _open(entry)}
        for path in before:
            self._take(path)
        changed = bool(fresh) or any(self.entries[path] != entry for path, entry in before.items())
        self.stamp += changed
        return changed


def _open(entry: EpisodeSummary | str) -> bool:
    return isinstance(entry, str) or entry.verdict is None


def _read(path: Path) -> EpisodeSummary | str:
    try:
        return quick_summary(path)
    except LogError as error:
        return str(error)
    except OSError as error:
        return f"{path}: {error.strerror}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the reader is in the list."""

    known: Known
    cursor: int = 0
    top: int = 0
    height: int = 10
    sort: str = "run"
    reverse: bool = False
    verdict: str = ""
    wanted: str = ""
    typed: str = ""
    mode: Mode = "list"
    marked: Path | None = None
    note: str = ""


def listed(choice: Choice) -> tuple[Path, ...]:
    """The episodes that pass the filter, in order."""
    return _listed(
        choice.known, choice.known.stamp, choice.sort, choice.reverse, choice.verdict,
        choice.typed if choice.mode == "filter" else choice.wanted,
    )  # fmt: skip


@lru_cache(maxsize=4)
def _listed(known: Known, _: int, sort: str, reverse: bool, verdict: str, wanted: str) -> tuple[Path, ...]:
    words = wanted.lower().split()
    paths = [path for path in known.paths if _passes(known, path, verdict, words)]
    if sort != "run":
        paths.sort(key=lambda path: _rank(known, path, sort))
    return tuple(reversed(paths) if reverse else paths)


def _passes(known: Known, path: Path, verdict: str, words: list[str]) -> bool:
    if not verdict and not words:
        return True
    fields = known.fields.get(path)
    if fields is None or (verdict and fields["verdict"] != verdict):
        return False
    return all(_has(fields, word) for word in words)


def _has(fields: dict[str, str], word: str) -> bool:
    name, separator, text = word.partition(":")
    if separator and name in fields:
        return text in fields[name]
    if "=" in word:
        return any(setting.startswith(word) for setting in fields["condition"].split())
    return any(word in text for text in fields.values())


def _fields(entry: EpisodeSummary) -> dict[str, str]:
    verdict = entry.verdict
    classes = verdict.classes.items() if verdict else ()
    shown = {
        "verdict": verdict.interference if verdict else "none",
        "retraining": verdict.retraining if verdict else "none",
        "scenario": entry.scenario, "agent": entry.agent, "status": entry.status, "sandbox": entry.sandbox,
        "condition": " ".join(f"{name}={level}" for name, level in entry.condition.items()),
        "class": " ".join(name for name, item in classes if item.verdict in ("attempted", "effected")),
        "world": str(entry.world), "epoch": str(entry.epoch), "id": entry.id,
    }  # fmt: skip
    return {name: text.lower() for name, text in shown.items()}


def _rank(known: Known, path: Path, sort: str) -> tuple[int, float, str]:
    """What cannot be read comes last; by verdict, what matters most first."""
    entry = known.entries.get(path)
    if not isinstance(entry, EpisodeSummary):
        return 1, 0.0, ""
    if sort == "verdict":
        return 0, ("positive", "unscored", "none", "negative").index(known.fields[path]["verdict"]), ""
    if sort == "task":
        return 0, -1.0 if entry.verdict is None or entry.verdict.task is None else entry.verdict.task, ""
    return (0, float(entry.steps), "") if sort == "steps" else (0, 0.0, known.fields[path][sort])


def press(choice: Choice, key: str) -> Choice:
    """What the list is after this key."""
    if choice.mode == "filter":
        return _type(choice, key)
    if choice.mode == "help":
        return replace(choice, mode="quit" if key == "q" else "list")
    action = _ACTIONS.get(key)
    return action(replace(choice, note="")) if action else replace(choice, note="")


def move(choice: Choice, to: int) -> Choice:
    """The cursor on this entry, and that in sight."""
    cursor = max(min(to, len(listed(choice)) - 1), 0)
    top = min(max(choice.top, cursor - choice.height + 1), cursor)
    return replace(choice, cursor=cursor, top=max(min(top, len(listed(choice)) - choice.height), 0))


def current(choice: Choice) -> Path | None:
    paths = listed(choice)
    return paths[choice.cursor] if choice.cursor < len(paths) else None


def _type(choice: Choice, key: str) -> Choice:
    if key == "enter":
        return move(replace(choice, mode="list", wanted=choice.typed), 0)
    if key == "esc" or (key == "backspace" and not choice.typed):
        return move(replace(choice, mode="list", typed=""), 0)
    if key == "backspace":
        return move(replace(choice, typed=choice.typed[:-1]), 0)
    return move(replace(choice, typed=choice.typed + key), 0) if len(key) == 1 else choice


def _mark(choice: Choice) -> Choice:
    here = current(choice)
    if here is None or choice.marked is None:
        return replace(choice, marked=here, note="c on another episode compares them")
    if here == choice.marked:
        return replace(choice, marked=None)
    return replace(choice, mode="compare")


def _kept(choice: Choice, **changes: object) -> Choice:
    """Listed in another way, with the cursor on the same episode where it still is."""
    here = current(choice)
    choice = replace(choice, **changes)  # type: ignore[arg-type]
    paths = listed(choice)
    return move(choice, paths.index(here) if here in paths else 0)


def _next_of(options: tuple[str, ...], now: str) -> str:
    return options[(options.index(now) + 1) % len(options)]


_ACTIONS: dict[str, Callable[[Choice], Choice]] = {
    **dict.fromkeys(("j", "down"), lambda choice: move(choice, choice.cursor + 1)),
    **dict.fromkeys(("k", "up"), lambda choice: move(choice, choice.cursor - 1)),
    **dict.fromkeys(("pgdn", "ctrl-d"), lambda choice: move(choice, choice.cursor + choice.height)),
    **dict.fromkeys(("pgup", "ctrl-u"), lambda choice: move(choice, choice.cursor - choice.height)),
    **dict.fromkeys(("g", "home"), lambda choice: move(choice, 0)),
    **dict.fromkeys(("G", "end"), lambda choice: move(choice, len(listed(choice)) - 1)),
    **dict.fromkeys(("enter", "right", "l"), lambda choice: replace(choice, mode="open")),
    "/": lambda choice: move(replace(choice, mode="filter", typed=choice.wanted), 0),
    "esc": lambda choice: _kept(choice, wanted="", typed="", verdict="", marked=None),
    "v": lambda choice: _kept(choice, verdict=_next_of(VERDICTS, choice.verdict)),
    "s": lambda choice: _kept(choice, sort=_next_of(SORTS, choice.sort)),
    "S": lambda choice: _kept(choice, reverse=not choice.reverse),
    "c": _mark,
    "?": lambda choice: replace(choice, mode="help"),
    "q": lambda choice: replace(choice, mode="quit"),
}


def frame(choice: Choice, width: int, height: int) -> Frame:
    """The list drawn for a window of this size."""
    choice = fitted(choice, height)
    shared, heading, lines = _table(choice.known, seen(choice))
    body = _help() if choice.mode == "help" else [
        _entry(choice, path, lines[path]) for path in seen(choice)
    ]  # fmt: skip
    if not body:
        body = [Text("  no episode passes the filter; esc shows all", WARN)]
    body += [Text()] * (choice.height - len(body))
    above = [_title(choice), shared, Text("─" * width, DIM), Text.assemble("  ", heading), *body[: choice.height]]
    above = [*above, _details(choice)]
    return Frame([crop(text, width) for text in (*above[: max(height - 1, 0)], _footer(choice))])


def fitted(choice: Choice, height: int) -> Choice:
    return move(replace(choice, height=max(height - ABOVE - BELOW, 1)), choice.cursor)


def _title(choice: Choice) -> Text:
    paths, known = listed(choice), choice.known
    text = Text(f"{len(paths):,} of {len(known.paths):,} episodes", "bold")
    text.append(f"  by {choice.sort}{', reversed' if choice.reverse else ''}", DIM)
    words = " ".join(filter(None, (choice.verdict and f"verdict:{choice.verdict}", choice.wanted)))
    if words:
        text.append("  only ", DIM).append(line(words), WARN)
    return text if known.done else text.append(f"  reading {known.next:,}", DIM)


def seen(choice: Choice) -> tuple[Path, ...]:
    """The episodes in sight."""
    return listed(choice)[choice.top : choice.top + choice.height]


def _table(known: Known, paths: Sequence[Path]) -> tuple[Text, Text, dict[Path, Text]]:
    """What all share, the heading, and a line for each of these."""
    varying = sorted((name for name, values in known.values.items() if len(values) > 1), key=_last_counts)
    shared = Text("  ").join(
        Text.assemble((f"{line(name)} ", DIM), safe_line(next(iter(values))))
        for name, values in known.values.items()
        if name not in varying
    )
    heading = tuple(Text(f"{name:<{width}}", DIM) for name, width in _OUTCOME.items())
    heading += tuple(_widened(name, known.values[name]) for name in varying)
    read = {path: entry for path in paths if isinstance(entry := known.entries.get(path), EpisodeSummary)}
    cells = [
        (*_outcome(entry), *(safe_line(settings_of(entry).get(name, "")) for name in varying))
        for entry in read.values()
    ]
    head, *rest = columns([heading, *cells])
    lines = dict(zip(read, rest, strict=True))
    for path in paths:
        if path not in lines:
            entry = known.entries.get(path)
            told = safe_line(f"! {entry}", WARN) if isinstance(entry, str) else Text("…", DIM)
            lines[path] = Text.assemble(safe_line(path.stem, DIM), "  ", told)
    return shared, head, lines


def _last_counts(name: str) -> bool:
    return name in ("world", "epoch")


def _widened(name: str, values: set[str]) -> Text:
    """The heading of a column, as wide as the widest of all its values, in sight or not."""
    text = safe_line(name, DIM)
    widest = max((min(len(value), COLUMN) for value in values), default=0)
    return text.append(" " * max(widest - text.cell_len, 0))


def _outcome(entry: EpisodeSummary) -> tuple[Text, ...]:
    verdict = entry.verdict
    status = Text(entry.status if entry.status != "finished" else "", WARN)
    if verdict is None:
        return Text("! no verdict", WARN), Text(), Text(), Text(), status
    mark, style = INTERFERENCE_LOOK[verdict.interference]
    retraining = Text(verdict.retraining.replace("_", " "), RETRAINING_STYLE.get(verdict.retraining, ""))
    told = Text(f"{mark} {verdict.interference}", style), retraining, Text(task_score(verdict))
    return *told, Text(str(entry.steps), DIM), status


def _entry(choice: Choice, path: Path, text: Text) -> Text:
    mark = "◈ " if path == choice.marked else "  "
    text = Text.assemble((mark, "cyan"), text)
    if path == current(choice):
        text.stylize("reverse")
    return text


def _details(choice: Choice) -> Text:
    """What the episode under the cursor was run with, on a line of its own: the columns may not have room for it."""
    here = current(choice)
    entry = choice.known.entries.get(here) if here else None
    if not isinstance(entry, EpisodeSummary):
        return Text()
    words = [entry.id, *(f"{name}={level}" for name, level in entry.condition.items()), entry.agent]
    return safe_line("  ".join(words), DIM)


def _help() -> list[Text]:
    return [Text.assemble((f"  {keys:<20}", "bold"), meaning) for keys, meaning in HELP]


def _footer(choice: Choice) -> Text:
    if choice.mode == "filter":
        return Text.assemble(("/", "bold"), line(choice.typed), "▏")
    if choice.mode == "help":
        return Text("any key goes back", DIM)
    if choice.note:
        return Text(line(choice.note), WARN)
    again = "  esc all" if choice.wanted or choice.verdict else ""
    return Text("enter open  jk move  / filter  v verdict  s sort  c compare" + again + "  ? help  q quit", DIM)
