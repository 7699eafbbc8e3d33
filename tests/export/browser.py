"""Headless Chromium over its pipe: what a page does when a browser opens it."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-pipe", "--hide-scrollbars",
)  # fmt: skip
CHROMIUM = shutil.which("chromium")


class Page:
    """One page of a browser of its own. `seen` keeps every event that the page caused, in order."""

    def __init__(self, profile: Path, *, scripts: bool = True, scheme: str = "light") -> None:
        assert CHROMIUM is not None
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}"]
        (ours, theirs), (their_out, our_in) = self._pipes()
        self._read, self._write = our_in, ours
        self._browser = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{theirs} 4>&{their_out}', *command], pass_fds=(theirs, their_out),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        os.close(their_out)
        self._count, self._rest, self._session = 0, b"", ""
        self._scripts, self._scheme = scripts, scheme
        self.seen: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        try:
            self._attach()
        except BaseException:
            self.close()
            raise
        return self

    def _attach(self) -> None:
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self._ask("Emulation.setScriptExecutionDisabled", value=not self._scripts)
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": self._scheme}])

    @staticmethod
    def _pipes() -> tuple[tuple[int, int], tuple[int, int]]:
        """Its ends stand above 9: they must not be overwritten when they are moved to 3 and 4."""
        (theirs, ours), (our_in, their_out) = os.pipe(), os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs, their_out)]
        os.close(theirs)
        os.close(their_out)
        return (ours, high[0]), (high[1], our_in)

    def open(self, path: Path) -> None:
        self._ask("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.seen):
            self._receive()

    def value(self, expression: str) -> Any:
        """What the debugger finds; this is allowed also where the page's own scripts are not."""
        return self._ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def press(self, *keys: str) -> None:
        for key in keys:
            text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
            code = {"windowsVirtualKeyCode": 13} if key == "Enter" else {}
            self._ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **code)
            self._ask("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    def picture(self, path: Path, width: int, height: int) -> bytes:
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        data = base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])
        path.write_bytes(data)
        return data

    def complaints(self) -> list[dict[str, Any]]:
        """All that the page said to the console, and every exception."""
        names = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event for event in self.seen if event["method"] in names]

    def requests(self) -> list[str]:
        return [e["params"]["request"]["url"] for e in self.seen if e["method"] == "Network.requestWillBeSent"]

    def _ask(self, method: str, **params: object) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != message["id"]:
            pass
        assert "error" not in answer, answer
        result = answer["result"]
        assert isinstance(result, dict)
        return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = os.read(self._read, 1 << 16)
            assert data, "the browser is gone"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(line)
        assert isinstance(message, dict)
        if "method" in message:
            self.seen.append(message)
        return message

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._write)  # a browser whose pipe ends, ends
        try:
            self._browser.wait(10)
        except subprocess.TimeoutExpired:
            self._browser.kill()
            self._browser.wait()
        os.close(self._read)
