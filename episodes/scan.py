"""Reading a log a little at a time: checked line by line, indexed, and any of its lines read again when it is wanted.

Nothing beside the log is believed or written: the index is made anew by whoever opens it, also where the folder is
read-only, and it can go on while the log still grows.
"""

import os
import time
import weakref
from array import array
from collections.abc import Iterator
from pathlib import Path

from corrigym.episodes.events import EpisodeEnded, Event
from corrigym.episodes.index import Index
from corrigym.episodes.log import Checked, check_line, read_line
from corrigym.errors import LogError

TAIL = 1 << 16
LONGEST_TAIL = 1 << 22
"""How far from the end of a log its last line is looked for, in bytes."""
_BATCH = 32
"""Lines between two looks at the clock."""


class Scan:
    """`go_on` until `done`. `check_blobs`: a missing or changed blob is damage too; without it, it shows when the line
    is read. OSError if there is no such file."""

    def __init__(self, path: Path, blobs: Path | None = None, *, check_blobs: bool = False) -> None:
        self.path, self.blobs = path, blobs or path.parent.parent / "blobs"
        self.checked, self.index = Checked(path), Index()
        self.done = False
        """All that the file held when it was last looked at has been read."""
        self._check_blobs = self.blobs if check_blobs else None
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)
        self._file = open(self._descriptor, "rb", closefd=False)  # noqa: SIM115
        self._offsets = array("Q", [0])
        self._pending: tuple[int, Event | None] | None = None

    def go_on(self, seconds: float = float("inf")) -> bool:
        """Reads on, for about so long at most; True if there was something new."""
        before, until = len(self._offsets), time.monotonic() + seconds
        self._file.seek(self._offsets[-1])
        self.done = False
        while not self.done:
            for _ in range(_BATCH):
                if not self._next_line():
                    self.done = True
                    break
            if time.monotonic() >= until:
                break
        return len(self._offsets) > before

    @property
    def share(self) -> float:
        """How much of the file has been read."""
        size = os.fstat(self._descriptor).st_size
        return min(self._offsets[-1] / size, 1.0) if size and not self.done else 1.0

    @property
    def partial(self) -> int:
        """Bytes of a last line that a crash cut short; 0 after a damage."""
        size = os.fstat(self._descriptor).st_size
        return size - self._offsets[-1] if self.done and not self.checked.problems else 0

    def read(self, first: int, after: int) -> Iterator[tuple[int, Event, str | None]]:
        """The events of these lines, each with what of it is missing or cannot be read (None: nothing)."""
        after = min(after, len(self._offsets) - 1)
        if first >= after:
            return
        start, end = self._offsets[first], self._offsets[after]
        data = os.pread(self._descriptor, end - start, start)
        for line in range(first, after):
            piece = data[self._offsets[line] - start : self._offsets[line + 1] - start - 1]
            event, lost = self._again(piece, line)
            if event:
                yield line, event, lost

    def _again(self, piece: bytes, line: int) -> tuple[Event | None, str | None]:
        try:
            return read_line(piece, self.path, line + 1, self.blobs), None
        except LogError as error:
            lost = str(error)
        try:
            return read_line(piece, self.path, line + 1, None), lost
        except LogError:  # it was sound when it was indexed: someone writes into the log
            return None, None

    def _next_line(self) -> bool:
        """False at the end: of the file, or of what can be trusted of it."""
        if self.checked.problems:
            return False
        line = self._file.readline()
        if not line.endswith(b"\n"):
            self._settle()
            return False
        number = len(self._offsets)
        event = check_line(line[:-1], number, self._check_blobs, self.checked)
        if self.checked.problems:
            self._pending = None if self.checked.doubtful else self._pending
            self._settle()
            return False
        self._settle()
        self._pending = number - 1, event
        self._offsets.append(self._offsets[-1] + len(line))
        return True

    def _settle(self) -> None:
        """An event is believed once the line after it has vouched for it, or there is none."""
        if self._pending and self._pending[1]:
            self.index.take(*self._pending)  # type: ignore[arg-type]
        self._pending = None


def last_event(path: Path) -> EpisodeEnded | None:
    """The end of an episode as the last line of its log tells it, without looking at the lines before: nothing vouches
    for it yet. None if the log does not end so. OSError if there is no such file."""
    with path.open("rb") as file:
        size, length = file.seek(0, os.SEEK_END), TAIL
        while True:
            file.seek(max(size - length, 0))
            lines = file.read(length).rstrip(b"\n").split(b"\n")
            if len(lines) > 1 or length >= min(size, LONGEST_TAIL):
                break
            length *= 4
    try:
        event = read_line(lines[-1], path, 0, None)
    except LogError:
        return None
    return event.payload if event and isinstance(event.payload, EpisodeEnded) else None
