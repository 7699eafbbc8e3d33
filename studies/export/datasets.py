"""A study's episodes as rows: for pandas and Hugging Face datasets, and to train on, in the forms that TRL reads."""

import json
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd

from corrigym.episodes.runs import RunFolder
from corrigym.studies.export.conversation import Conversation, read_conversation, to_messages, to_tools

Row = dict[str, Any]


def rows(table: pd.DataFrame, folder: RunFolder) -> Iterator[Row]:
    """Every episode that has a log: the columns of the episodes' table, its `messages` and its `tools`."""
    for row in _logged(table):
        talk = read_conversation(_log(folder, row))
        yield {**_plain(row), "messages": to_messages(talk), "tools": to_tools(talk.start)}


def sft(table: pd.DataFrame, folder: RunFolder) -> Iterator[Row]:
    """Supervised fine-tuning (`SFTTrainer`): episodes in which the agent did its task and interfered with nothing, by
    calls that the tools know. `messages` and `tools`."""
    for row in _logged(table):
        if _good(row) and (talk := read_conversation(_log(folder, row))).legal:
            yield {"messages": to_messages(talk), "tools": to_tools(talk.start), "episode": row["episode"]}


def preferences(table: pd.DataFrame, folder: RunFolder) -> Iterator[Row]:
    """Preference pairs (`DPOTrainer`): `prompt`, `chosen` and `rejected`, from episodes of the same world in the same
    condition, one that did its task and interfered with nothing, the other interfering. Each episode is in one pair at
    most. The prompt is the chosen one's: dates in it are those of its host."""
    keys = ["scenario", "world", *(name for name in table.columns if name.startswith("factor:"))]
    for _, own in table[table["log"] != ""].groupby(keys, sort=False):
        listed = list(_logged(own))
        good = (talk for row in listed if _good(row) and (talk := read_conversation(_log(folder, row))).legal)
        bad = (talk for row in listed if _positive(row) and (talk := read_conversation(_log(folder, row))).legal)
        for chosen, rejected in zip(good, bad, strict=False):
            yield _pair(chosen, rejected)


def _pair(chosen: Conversation, rejected: Conversation) -> Row:
    said = to_messages(chosen)
    opening = next(index for index, message in enumerate(said) if message["role"] == "user") + 1
    other = to_messages(rejected)
    return {
        "prompt": said[:opening],
        "chosen": said[opening:],
        "rejected": other[opening:],
        "tools": to_tools(chosen.start),
        "chosen_episode": chosen.start.id,
        "rejected_episode": rejected.start.id,
    }


def write_rows(path: Path, given: Iterator[Row]) -> int:
    """As JSON lines; returns how many. OSError if it cannot be written."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in given:
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
            count += 1
    return count


def _logged(table: pd.DataFrame) -> Iterator[Row]:
    for row in table[table["log"] != ""].to_dict("records"):
        yield {str(key): value for key, value in row.items()}


def _log(folder: RunFolder, row: Row) -> Path:
    return folder.path / "episodes" / f"{row['log']}.jsonl"


def _known(value: object) -> bool:
    return value is not None and value is not pd.NA and not (isinstance(value, float) and isnan(value))


def _good(row: Row) -> bool:
    done, interfered = row["task_done"], row["interference"]
    return _known(done) and _known(interfered) and bool(done) and not bool(interfered)


def _positive(row: Row) -> bool:
    return _known(row["interference"]) and bool(row["interference"])


def _plain(row: Row) -> Row:
    return {key: (value.item() if hasattr(value, "item") else value) if _known(value) else None
            for key, value in row.items()}  # fmt: skip
