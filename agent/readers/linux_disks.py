"""Disks and their own word on their health: eMMC wear from sysfs, SMART where smartctl is installed."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from agent.readers.facts import Disk, identifier
from agent.readers.linux_usb import text

Smart = Callable[[str], str | None]
_END_OF_LIFE = {"0x02": "most spare blocks are used up", "0x03": "nearly all spare blocks are used up"}
_WORN_OUT = 0x0B  # JEDEC eMMC 5.1, EXT_CSD 268 and 269: past its estimated life


def disks(sys: Path, smart: Smart) -> list[Disk]:
    """Built-in disks, sorted; `smart` returns smartctl's JSON for a disk or None."""
    found = []
    for entry in sorted((sys / "block").iterdir()):
        device = entry.resolve()
        if (
            "/devices/virtual/" in str(device)
            or text(device / "removable") == "1"
            or entry.name.startswith("sr")
        ):
            continue
        healthy, detail = (
            _emmc(device / "device") if entry.name.startswith("mmcblk") else _smart(smart(entry.name))
        )
        model = identifier(text(device / "device/model") or text(device / "device/name"))
        found.append(Disk(entry.name, model, identifier(text(device / "device/serial")), healthy, detail))
    return found


def _emmc(device: Path) -> tuple[bool | None, str]:
    spare, wear = text(device / "pre_eol_info"), text(device / "life_time").split()
    if spare in _END_OF_LIFE:
        return False, _END_OF_LIFE[spare]
    if any(int(each, 16) >= _WORN_OUT for each in wear):
        return False, "past its estimated life"
    return (True, "") if spare == "0x01" else (None, "")


def _smart(answer: str | None) -> tuple[bool | None, str]:
    if answer is None:
        return None, ""
    try:
        passed = json.loads(answer)["smart_status"]["passed"]
    except (ValueError, KeyError, TypeError):
        return None, ""
    if not isinstance(passed, bool):
        return None, ""
    return passed, "" if passed else "SMART says it is failing"


def ask_smartctl(disk: str) -> str | None:
    """smartctl's answer, None where it is not installed. A sleeping disk is left asleep. Needs root."""
    program = shutil.which("smartctl")
    if program is None:
        return None
    command = [program, "--json=c", "--health", "--nocheck=standby", f"/dev/{disk}"]
    # Its exit code is a bit mask of findings, not of success.
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 fixed command
    return done.stdout
