"""The agent's home: one directory with its key, its state, its spool and its drill faults."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TextIO

from agent.errors import AgentError


def default_home() -> Path:
    """GREENROOM_AGENT_HOME, else where this platform keeps the state of a service (or of a plain user)."""
    if chosen := os.environ.get("GREENROOM_AGENT_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "Greenroom Agent"
    if os.geteuid() == 0:
        return Path("/var/lib/greenroom-agent")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "greenroom-agent"


def make_home(home: Path) -> None:
    """Make the directory, readable by its owner alone; safe to repeat. Raises AgentError if that fails."""
    try:
        new = not home.exists()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if new and sys.platform == "win32":
            _close_to_others(home)
    except (OSError, subprocess.SubprocessError) as error:
        raise AgentError(f"cannot use {home}: {error}") from None


def _close_to_others(home: Path) -> None:
    """Files under ProgramData are readable by every user unless inheritance is cut: system, administrators
    and the owner keep access."""
    grants = [f"*{sid}:(OI)(CI)F" for sid in ("S-1-5-18", "S-1-5-32-544", "S-1-3-4")]
    command = ["icacls", str(home), "/inheritance:r", "/grant:r", *grants]
    subprocess.run(command, check=True, capture_output=True, timeout=30)  # noqa: S603 fixed command


def write_durably(path: Path, content: bytes) -> None:
    """Replace the file in one step: a reader, or a start after a crash, finds the old or the new one.

    Only its owner can read it. Raises OSError (a full disk, for one), leaving the old file in place.
    """
    beside = path.with_name(path.name + ".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)  # Windows would add CR to LF
    descriptor = os.open(beside, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    if sys.platform != "win32":  # Windows has no handle to sync for a directory
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def write_json(path: Path, document: Any) -> None:
    """`write_durably` for a JSON document that a person may want to read."""
    write_durably(path, json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")


def hold(home: Path) -> TextIO:
    """Take the home for this process, for as long as the returned file stays open.

    Two agents on one spool would send one number with two contents. Raises AgentError if another has it.
    """
    try:
        file = (home / "lock").open("a")
    except OSError as error:
        raise AgentError(f"cannot use {home}: {error}") from None
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise AgentError(f"another agent is running in {home}; stop it first") from None
    return file
