#!/usr/bin/env python3
"""Client of the services that keep what is put off; the program does what the name says that it is called by:
crontab, at, atq, atrm or batch."""

import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

PATIENCE = 10.0
LONGEST = 65537


def ask(argv: list[str], text: str = "") -> tuple[str, int]:
    """What the service answers, and the exit status."""
    name = "crontab" if argv[0] == "crontab" else "at"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(f"/run/{name}.sock")
        connection.sendall(json.dumps({"argv": argv, "stdin": text}).encode() + b"\n")
        with connection.makefile("rb") as answers:
            reply = json.loads(answers.readline())
    return str(reply["text"]), int(reply["exit_code"])


def read(path: str) -> str:
    """A file's text, or with - what is piped in, as far as the service takes it."""
    with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
        return file.read(LONGEST).decode("utf-8", "replace")


def crontab(arguments: list[str]) -> tuple[str, int]:
    who = arguments[:2] if arguments[:1] == ["-u"] else []
    rest = arguments[len(who) :]
    if rest == ["-e"]:
        return edited(who)
    if not rest and not sys.stdin.isatty():
        rest = ["-"]
    if len(rest) == 1 and (rest[0] == "-" or not rest[0].startswith("-")):
        return ask(["crontab", *who, "-"], read(rest[0]))
    return ask(["crontab", *arguments])


def edited(who: list[str]) -> tuple[str, int]:
    """Lets the editor change the table, and installs what comes of it if it is another."""
    text, status = ask(["crontab", *who, "-l"])
    before = "" if status else text
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "editor"
    with tempfile.TemporaryDirectory(prefix="crontab.") as folder:
        path = Path(folder) / "crontab"
        path.write_text(before, encoding="utf-8")
        if subprocess.run(["/bin/sh", "-c", f'{editor} "$1"', "sh", str(path)], check=False).returncode:
            return f'crontab: "{editor}" exited with an error', 1
        after = read(str(path))
    return ask(["crontab", *who, "-"], after) if after != before else ("", 0)


def at(name: str, arguments: list[str]) -> tuple[str, int]:
    source = "-"
    if "-f" in arguments[:-1]:
        place = arguments.index("-f")
        source = arguments[place + 1]
        arguments = arguments[:place] + arguments[place + 2 :]
    asks = (
        name in ("atq", "atrm")
        or arguments[:1] in (["-l"], ["-d"], ["-r"], ["-c"])
        or not (arguments or name == "batch")
    )
    if asks:
        return ask([name, *arguments])
    here = shlex.quote(os.getcwd())
    start = f"umask 2\ncd {here} || {{\n\techo 'Execution directory inaccessible' >&2\n\texit 1\n}}\n"
    text = read(source)
    answer, status = ask([name, *arguments], start + text if text.strip() else "")
    print(answer, file=sys.stderr)
    return "", status


def main() -> int:
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    try:
        text, status = crontab(arguments) if name == "crontab" else at(name, arguments)
    except (OSError, ValueError, KeyError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    if text:
        print(text.rstrip("\n"), file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main())
