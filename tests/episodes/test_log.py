"""The log keeps what is written to it, and notices what was done to it since."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrigym.episodes.events import Call, EpisodeEnded, Message, Payload, Result
from corrigym.episodes.log import BLOB_LIMIT, EpisodeLog, read_events, verify_episode
from corrigym.errors import LogError
from tests.episodes.builder import ended, started, story, write_episode

FAST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)  # lone surrogates too
KEYS = st.text(max_size=8) | st.sampled_from(["$blob", "$$blob", "$", "bytes", "type", "v", "prev"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | ANY_TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_episode(tmp_path / "run" / "episodes" / "e1.jsonl")


def rewrite(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def payloads(path: Path) -> list[Payload]:
    return [event.payload for event in read_events(path)]


def written(folder: Path, *events: Payload) -> Path:
    number = len(list(folder.glob("*/episodes/*")))
    return write_episode(folder / f"run{number}" / "episodes" / "e.jsonl", [(0, event) for event in events])


@FAST
@given(arguments=st.dictionaries(KEYS, JSON, max_size=4), text=ANY_TEXT, raw=JSON)
def test_what_is_written_is_read(tmp_path: Path, arguments: dict[str, object], text: str, raw: object) -> None:
    call = Call.model_validate({"tool": text, "arguments": arguments})
    message = Message.model_validate({"role": "assistant", "text": text, "raw": raw})
    path = written(tmp_path, call, message)
    assert payloads(path) == [call, message]
    assert verify_episode(path).problems == []


@FAST
@given(size=st.integers(BLOB_LIMIT - 3, BLOB_LIMIT + 3), char=st.sampled_from(["x", "é", "漢", "\ud800", "🜲"]))
def test_big_strings_are_stored_once_and_come_back(tmp_path: Path, size: int, char: str) -> None:
    big = Result(text=char * size, exit_code=0, duration=0.0)
    path = written(tmp_path, big, big)
    assert payloads(path) == [big, big]
    blobs = list((path.parent.parent / "blobs").iterdir())
    data = (char * size).encode("utf-8", "surrogatepass")
    assert [blob.read_bytes() for blob in blobs] == ([data] if len(data) > BLOB_LIMIT else [])


def test_data_that_looks_like_a_blob_reference_stays_data(tmp_path: Path) -> None:
    call = Call(tool="x", arguments={"a": {"$blob": "0" * 64, "bytes": 3}, "$blob": "1", "$$": None})
    assert payloads(written(tmp_path, call)) == [call]


def test_numbers_without_json_form_come_back(tmp_path: Path) -> None:
    (result,) = payloads(written(tmp_path, Result(text="", exit_code=0, duration=float("inf"))))
    assert isinstance(result, Result)
    assert result.duration == float("inf")


@FAST
@given(data=st.data())
def test_a_changed_byte_is_found(tmp_path: Path, data: st.DataObject) -> None:
    """In the last line the digest of it tells, which the run's index holds."""
    path = written(tmp_path, started(), *(payload for _, payload in story()[1:4]), ended())
    before, content = verify_episode(path), bytearray(path.read_bytes())
    assert before.problems == []
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    path.write_bytes(content)
    after = verify_episode(path)
    if place < content.rstrip(b"\n").rfind(b"\n"):
        assert after.problems
    else:
        assert after.problems or after.partial or after.head != before.head


@FAST
@given(data=st.data())
def test_a_cut_log_reads_up_to_its_last_whole_line(tmp_path: Path, data: st.DataObject) -> None:
    path = written(tmp_path, *(payload for _, payload in story()))
    content, events = path.read_bytes(), payloads(path)
    place = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:place])
    whole = content[:place].count(b"\n")
    assert payloads(path) == events[:whole]
    checked = verify_episode(path)
    assert (checked.problems, checked.events, checked.complete) == ([], whole, False)
    assert checked.partial == place - (content[:place].rfind(b"\n") + 1)


@pytest.mark.parametrize("place", [0, 1, 5])
def test_a_dropped_line_is_found(log: Path, place: int) -> None:
    lines = log.read_bytes().splitlines()
    rewrite(log, lines[:place] + lines[place + 1 :])
    assert f"{log}:{place + 1}: the hash chain breaks here" in verify_episode(log).problems[0]


@pytest.mark.parametrize("place", [0, 3])
def test_a_doubled_line_is_found(log: Path, place: int) -> None:
    lines = log.read_bytes().splitlines()
    rewrite(log, [*lines[: place + 1], *lines[place:]])
    assert f"{log}:{place + 2}: " in verify_episode(log).problems[0]


@pytest.mark.parametrize("place", [0, 4])
def test_swapped_lines_are_found(log: Path, place: int) -> None:
    lines = log.read_bytes().splitlines()
    lines[place : place + 2] = reversed(lines[place : place + 2])
    rewrite(log, lines)
    assert verify_episode(log).problems


def test_an_event_after_the_end_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, started(), ended(), Message(role="user"))
    assert "after the end" in verify_episode(path).problems[0]


def test_a_second_start_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, started(), started(), ended())
    assert "starts twice" in verify_episode(path).problems[0]


def test_a_changed_or_missing_blob_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, Result(text="x" * (BLOB_LIMIT + 1), exit_code=0, duration=0.0))
    (blob,) = (path.parent.parent / "blobs").iterdir()
    blob.write_bytes(b"y" * (BLOB_LIMIT + 1))
    assert "was changed" in verify_episode(path).problems[0]
    blob.unlink()
    assert "is missing" in verify_episode(path).problems[0]
    with pytest.raises(LogError, match=r"e\.jsonl:1: .*is missing"):
        payloads(path)


def test_a_blob_reference_leads_nowhere_else(tmp_path: Path) -> None:
    path = written(tmp_path, Message(role="user"))
    record = json.loads(path.read_bytes()) | {"text": {"$blob": "../" * 20 + "etc/passwd", "bytes": 1}}
    rewrite(path, [json.dumps(record).encode()])
    with pytest.raises(LogError, match="no sha256"):
        payloads(path)


@pytest.mark.parametrize("version", ["2.0", "10.1"])
def test_a_newer_major_version_is_refused(log: Path, version: str) -> None:
    text = log.read_text().replace('"v":"1.0"', f'"v":"{version}"', 1)
    log.write_text(text)
    with pytest.raises(LogError, match=rf"e1\.jsonl:1: written by version {version} .*update"):
        payloads(log)
    assert "update" in verify_episode(log).problems[0]


def test_a_newer_minor_version_and_unknown_types_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, Message(role="user", text="a"))
    known = json.loads(path.read_bytes())
    odd = known | {"v": "1.9", "type": "mood", "seq": 0, "colour": "blue"}
    rewrite(path, [json.dumps(odd).encode(), json.dumps(known | {"v": "1.9", "seq": 1}).encode()])
    assert payloads(path) == [Message(role="user", text="a")]


@pytest.mark.parametrize(
    "line",
    [
        b"", b"[]", b"1", b"{}", b'{"v":1}', b'{"v":"x"}', b"\xff\xfe", b"\x00", b'{"v":"1.0","type":"call"}',
        b'{"v":"1.0","type":"message","seq":1e999,"time":0,"step":0,"prev":"","role":"user"}',
        b'{"v":"1.0","type":"message","seq":0,"time":null,"step":0,"prev":"","role":"user"}',
        b'{"v":"1.0","type":"message","seq":0,"time":0,"step":0,"prev":"","role":"boss"}',
        b'{"v":"1.0","type":"message","seq":0,"time":0,"step":0,"prev":"","role":"user","raw":'
        + b"[" * 900 + b"]" * 900 + b"}",
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_event_is_named_with_its_place(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "episodes" / "e.jsonl"
    path.parent.mkdir()
    rewrite(path, [line])
    assert verify_episode(path).problems[0].startswith(f"{path}:1: ")
    with pytest.raises(LogError, match=r"e\.jsonl:1: "):
        payloads(path)


def test_a_log_is_written_once(log: Path) -> None:
    with pytest.raises(FileExistsError):
        EpisodeLog(log, log.parent)


def test_each_event_is_on_disk_when_write_returns(tmp_path: Path) -> None:
    path = tmp_path / "episodes" / "e.jsonl"
    with EpisodeLog(path, tmp_path / "blobs") as log:
        log.write(started(), 0)
        assert verify_episode(path).events == 1
        log.write(ended(), 0)
        assert (verify_episode(path).head, verify_episode(path).complete) == (log.head, True)
    assert isinstance(payloads(path)[-1], EpisodeEnded)


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """A limit on the file's size stands for the disk: the write that meets it is cut in the middle."""
    path = tmp_path / "episodes" / "e.jsonl"
    program = """
import resource, sys
from pathlib import Path
from corrigym.episodes.events import Message
from corrigym.episodes.log import EpisodeLog
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with EpisodeLog(Path(sys.argv[1]), Path(sys.argv[1]).parent.parent / "blobs") as log:
    for size in (10, 900, 20):
        try:
            log.write(Message(role="user", text="x" * size), 0)
        except OSError as error:
            print(type(error).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "OSError\n"
    checked = verify_episode(path)
    assert (checked.problems, checked.events, checked.partial) == ([], 2, 0)


@pytest.mark.parametrize("moment", ["NaN", "-Infinity", "1e999"])
def test_a_time_that_is_no_moment_is_refused(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "episodes" / "x.jsonl"
    path.parent.mkdir()
    envelope = f'"v":"1.0","seq":0,"time":{moment},"step":0,"prev":"{"0" * 64}"'
    path.write_text(f'{{{envelope},"type":"wait","seconds":1.0,"reason":"busy","attempt":1}}\n')
    with pytest.raises(LogError, match="finite"):
        list(read_events(path))
    assert verify_episode(path).problems
