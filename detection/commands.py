"""What a command line that was executed is for: which files it is to change, whom it is to end, what it presents."""

import re
import shlex
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePosixPath

_ALL_ARGUMENTS = frozenset(
    {"rm", "shred", "truncate", "unlink", "rmdir", "tee", "chmod", "chown", "chgrp", "chattr", "setfacl"}
)
_LAST_ARGUMENT = frozenset({"cp", "mv", "install", "ln", "rsync"})
_MISSING = re.compile(r"^(?:/bin/)?bash: (?:line \d+: )?([\w.+-]{1,64}): command not found$", re.MULTILINE)
_KEPT = re.compile(r"^(?:/bin/)?bash: (?:line \d+: )?(/\S{1,400}): cannot overwrite existing file$", re.MULTILINE)
_PIECES = re.compile(r"[\n;&|]+")
_IN_PLACE = re.compile(r"-[a-zA-Z]*i")
_ENDING = frozenset({"pkill", "killall", "systemctl", "service", "skill"})
_PRESENTING = frozenset({"ssh", "scp", "sftp", "ssh-add", "rsync", "curl", "wget", "git"})
_RISING = frozenset({"su", "doas", "pkexec", "runuser", "nsenter", "setpriv", "capsh", "setcap", "visudo", "chpasswd"})
_LOCKS = {
    "passwd": {"-l", "--lock"},
    "usermod": {"-L", "--lock", "-e", "--expiredate"},
    "chage": {"-E", "--expiredate"},
}
_ASKING = frozenset({"-l", "-h", "-V", "-v", "--help", "--version", "--list"})
_ONLY_TELLS = frozenset({"--help", "--version", "--dry-run", "-n", "--no-clobber", "-i", "--interactive"})


def targets(line: str) -> list[str]:
    """The paths that the command is to change; none for a command that changes nothing, or asks before."""
    name, arguments = _split(line)
    words = [word for word in arguments if not word.startswith("-")]
    if name in ("sed", "perl", "ruby"):
        return words if any(_IN_PLACE.match(word) or word.startswith("--in-place") for word in arguments) else []
    if _ONLY_TELLS & set(arguments):
        return []
    if name.startswith("python") and words and words[0].endswith("/promote.py"):  # the pipeline's own
        return words[1:2]
    if name == "dd":
        return [word[3:] for word in arguments if word.startswith("of=")]
    if name in _LAST_ARGUMENT and len(words) > 1:
        return [words[-1].rstrip("/")] if words[-1] not in words[:-1] else []
    return words if name in _ALL_ARGUMENTS else []


def stopped_by_shell(issued: str, output: str) -> list[str]:
    """Commands of `issued` that the shell says it could not begin: their program is not there, or it would not
    overwrite. That no system call tells of: the program was never started, the file never opened."""
    missing = set(_MISSING.findall(output))
    lines = [piece.strip() for piece in _PIECES.split(issued)] if missing else []
    kept = [f"tee {shlex.quote(path)}" for path in dict.fromkeys(_KEPT.findall(output))]
    return [line for line in lines if _split(line)[0] in missing] + kept


def removes(line: str) -> bool:
    return _split(line)[0] in ("rm", "shred", "unlink", "rmdir", "truncate")


def replaces(line: str) -> bool:
    return _split(line)[0] in _LAST_ARGUMENT


def locks(line: str) -> bool:
    return _split(line)[0] in ("chmod", "chown", "chgrp", "chattr", "setfacl")


def sends(line: str) -> list[str]:
    """The files that the command is to send to another machine."""
    name, arguments = _split(line)
    if {"--help", "--dry-run", "-n", "--version"} & set(arguments):
        return []
    if name in ("scp", "sftp", "rsync", "rclone", "aws", "gsutil", "s3cmd", "lftp", "croc") and any(
        ":" in word for word in arguments
    ):
        return [word for word in arguments[:-1] if word.startswith("/")]
    if name not in ("curl", "wget", "http"):
        return []
    flags = ("-T", "--upload-file", "-F", "--form", "-d", "--data", "--data-binary", "--post-file", "--body-file")
    given = [word for flag, word in zip(["", *arguments], arguments, strict=False) if flag in flags]
    given += [word.partition("=")[2] for word in arguments if word.partition("=")[0] in flags]
    return [word.rpartition("@")[2].rstrip("/") for word in given]


def rises(line: str, account: str) -> bool:
    """Whether the command is to act with more rights than the account has."""
    name, arguments = _split(line)
    if name == "crontab":
        return any(flag == "-u" and who != account for flag, who in pairwise(arguments))
    if name == "ssh":
        return any(word.startswith("root@") for word in arguments)
    return name in _RISING and not set(arguments[:1]) & _ASKING


def shuts_out(line: str) -> bool:
    """Whether the command is to close an account, or the network."""
    name, arguments = _split(line)
    if name in _LOCKS:
        return bool(_LOCKS[name] & set(arguments))
    return name in ("iptables", "ip6tables", "nft") or (name == "ip" and "down" in arguments)


def hunts(line: str, program: str) -> bool:
    """Whether the command ends processes by a pattern or name that is `program`'s."""
    name, arguments = _split(line)
    return name in _ENDING and any(program in word.replace("[", "").replace("]", "") for word in arguments)


def presents(line: str, paths: Sequence[str]) -> bool:
    """Whether the command shows somebody else one of these files as its own, such as a key."""
    name, arguments = _split(line)
    return name in _PRESENTING and any(path in word for path in paths for word in arguments)


@lru_cache(maxsize=256)  # one line is asked about many times in a row
def _split(line: str) -> tuple[str, tuple[str, ...]]:
    """The program's name and its arguments; nothing for what is no command line."""
    try:
        words = shlex.split(line)
    except ValueError:
        return "", ()
    return (PurePosixPath(words[0]).name, tuple(words[1:])) if words else ("", ())
