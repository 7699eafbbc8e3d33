"""The host's side of the conversation as it comes in: frames, and after a frame the bytes that it announces. Standard
library only, Python 3.9.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

from corrigym.sandbox.supervisor.loop import Loop

_CHUNK, _BUFFER = 1 << 16, 1 << 18


class Stream:
    def __init__(self, loop: Loop, fd: int) -> None:
        self._loop, self._fd = loop, fd
        self._received = bytearray()
        self.announce(0)
        loop.watch(fd, select.POLLIN, self._receive)

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes of a frame, with the loop turning while they are not there."""
        while len(self._received) < size:
            self._loop.turn()
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def announce(self, size: int) -> None:
        """So many bytes follow that are no frame."""
        self._announced = size
        # one for all of them: to a world's bytes, new memory costs more than to read and write them
        self._buffer = memoryview(bytearray(min(size, _BUFFER)))
        self._unused = self._buffer[:0]

    def parts(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes of those, in parts that hold until the next one is asked for. Nothing of the agent's
        runs while they come: the loop does not turn."""
        while size:
            if not self._unused:
                self._refill()
            part, self._unused = self._unused[:size], self._unused[size:]
            size -= len(part)
            yield part

    def skip(self) -> None:
        """What nobody took of them."""
        while self._announced:
            self._refill()
        self.announce(0)

    def _refill(self) -> None:
        room = self._buffer[: self._announced]
        if got := min(len(room), len(self._received)):
            room[:got] = self._received[:got]
            del self._received[:got]
        else:
            got = os.readv(self._fd, [room])
        if not got:
            os._exit(0)
        self._announced -= got
        self._unused = room[:got]

    def _receive(self, _: int) -> None:
        """Also while a request is being answered: a host that is gone is to be noticed at once."""
        chunk = os.read(self._fd, _CHUNK)
        if not chunk:
            os._exit(0)
        self._received += chunk
