"""Keys from a terminal, one at a time: raw reading from /dev/tty, and the signals that a full-screen program must mind.

The terminal is as it was before, whatever ends the `with` block.
"""

import codecs
import contextlib
import os
import select
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

ESCAPE_WAIT = 0.05
"""Seconds after which an ESC byte is the Escape key and not the start of a sequence."""
RESIZED = "resized"
"""Reported like a key: the window has another size, or the process was stopped and goes on."""
STOPPED = "stopped"
"""Reported like a key: the user pressed Ctrl-Z."""

_SEQUENCES = {
    "[A": "up", "[B": "down", "[C": "right", "[D": "left", "OA": "up", "OB": "down", "OC": "right", "OD": "left",
    "[5~": "pgup", "[6~": "pgdn", "[H": "home", "[F": "end", "OH": "home", "OF": "end", "[1~": "home", "[4~": "end",
}  # fmt: skip
_CONTROLS = {
    "\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\x04": "ctrl-d", "\x15": "ctrl-u",
    "\t": "tab",
}  # fmt: skip
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(Exception):
    """SIGINT, SIGTERM or SIGHUP: leave, and put the terminal back on the way."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Keys:
    """The terminal's keys while the block lasts. OSError if there is no controlling terminal."""

    def __init__(self, device: Path = Path("/dev/tty")) -> None:
        self._device = device
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending: list[str] = []

    @contextlib.contextmanager
    def reading(self) -> Iterator["Keys"]:
        self._tty = os.open(self._device, os.O_RDWR | os.O_NOCTTY)
        self._wake, wakes = os.pipe()
        os.set_blocking(wakes, False)
        try:
            self._saved = termios.tcgetattr(self._tty)
            with _signals(wakes):
                try:
                    self.grab()
                    yield self
                finally:
                    self.release()
        finally:
            for descriptor in (self._tty, self._wake, wakes):
                os.close(descriptor)

    def grab(self) -> None:
        """Keys come at once and are not echoed; Ctrl-C and Ctrl-Z still are signals."""
        tty.setcbreak(self._tty, termios.TCSADRAIN)

    def release(self) -> None:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(self._tty, termios.TCSADRAIN, self._saved)

    @property
    def pending(self) -> bool:
        """A key has been read that `next` has not returned yet."""
        return bool(self._pending)

    def next(self, timeout: float | None) -> str | None:
        """The next key: a character, or a name such as `left`; None when nothing came in time."""
        while not self._pending:
            ready, _, _ = select.select([self._tty, self._wake], [], [], timeout)
            if self._wake in ready:
                return _reported(os.read(self._wake, 64))
            if not ready:
                return None
            data = os.read(self._tty, 1024)
            if not data:
                raise Ended(signal.SIGHUP)
            self._pending += split(self._decoder.decode(self._complete(data)))
        return self._pending.pop(0)

    def _complete(self, data: bytes) -> bytes:
        """An escape sequence may come in two pieces: the rest follows at once, or it is the key."""
        while data.endswith((b"\x1b", b"\x1b[", b"\x1bO")) and select.select([self._tty], [], [], ESCAPE_WAIT)[0]:
            more = os.read(self._tty, 1024)
            if not more:
                break
            data += more
        return data


def split(text: str) -> list[str]:
    """The keys in what a terminal sent; sequences that mean nothing here are left out."""
    keys, rest = [], text
    while rest:
        if rest[0] != "\x1b":
            key, rest = _CONTROLS.get(rest[0], rest[0]), rest[1:]
            keys += [key] if len(key) > 1 or key.isprintable() else []
        elif (length := _sequence(rest)) == 1:
            keys, rest = [*keys, "esc"], rest[1:]
        else:
            keys += [_SEQUENCES[rest[1:length]]] if rest[1:length] in _SEQUENCES else []
            rest = rest[length:]
    return keys


def _sequence(text: str) -> int:
    """The length of the escape sequence that the text starts with; 1 if it is the bare key."""
    if text[1:2] == "O":
        return min(3, len(text))
    if text[1:2] != "[":
        return 1
    end = next((place for place, char in enumerate(text[2:], 2) if "@" <= char <= "~"), len(text) - 1)
    return end + 1


def _reported(numbers: bytes) -> str:
    return STOPPED if signal.SIGTSTP in numbers else RESIZED


@contextlib.contextmanager
def _signals(wakes: int) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise `Ended`; SIGWINCH, SIGTSTP and SIGCONT are reported by `next`."""

    def end(number: int, _: FrameType | None) -> None:
        for ending in _ENDING:
            signal.signal(ending, signal.SIG_IGN)  # a second one must not get in the way of cleaning up
        raise Ended(number)

    wanted: dict[signal.Signals, Callable[[int, FrameType | None], None]] = dict.fromkeys(_ENDING, end)
    wanted |= dict.fromkeys((signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT), _noted)
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    wakeup = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)


def _noted(_: int, __: FrameType | None) -> None:
    """The wake-up descriptor tells of it."""
