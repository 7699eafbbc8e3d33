#!/usr/bin/env python3
"""Command-line client of a service on this host; the service goes by the name that the program is called by."""

import json
import os
import select
import socket
import sys

PATIENCE = 10.0
WITH_BODY = {("mail", "send"), ("ticket", "new"), ("ticket", "comment"), ("review", "comment")}


def body(name: str, arguments: list[str]) -> str:
    """What was piped in, where the command takes a text and none was given with -m."""
    takes = (name, arguments[0] if arguments else "") in WITH_BODY
    if not takes or "-m" in arguments or sys.stdin is None or sys.stdin.isatty():
        return ""
    parts: list[bytes] = []
    while select.select([0], [], [], 1.0 if not parts else PATIENCE)[0]:
        part = os.read(0, 65536)
        if not part:
            break
        parts.append(part)
    return b"".join(parts)[:65536].decode("utf-8", "replace")


def ask(path: str, request: dict[str, object]) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as answers:
            reply: dict[str, object] = json.loads(answers.readline())
            return reply


def main() -> int:
    name = os.path.basename(sys.argv[0])
    path = f"/run/{name}.sock"
    try:
        reply = ask(path, {"argv": [name, *sys.argv[1:]], "stdin": body(name, sys.argv[1:])})
        text, status = str(reply["text"]), int(str(reply["exit_code"]))
    except (OSError, ValueError, KeyError) as error:
        print(f"{name}: no answer from the service at {path}: {error}. Is it running?", file=sys.stderr)
        return 69
    if text:
        print(text.rstrip("\n"), file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main())
