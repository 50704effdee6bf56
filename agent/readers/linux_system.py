"""The machine's make and number, its operating system and whether its clock is kept right."""

import ctypes
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from agent.readers.facts import Hardware, Interface, clean, identifier
from agent.readers.linux_usb import text

_UNSYNCHRONIZED = 0x40  # STA_UNSYNC of adjtimex(2)


def hardware(sys: Path, proc: Path, interfaces: list[Interface] | None) -> Hardware:
    """From DMI, else (boards without) from the device tree. Serial and firmware id may need root."""
    dmi, tree = sys / "class/dmi/id", proc / "device-tree"
    vendor = text(tree / "compatible").partition(",")[0]  # "raspberrypi,4-model-b" and more, NUL between them
    makes = text(dmi / "sys_vendor"), text(dmi / "board_vendor"), vendor
    models = text(dmi / "product_name"), text(dmi / "board_name"), text(tree / "model")
    return Hardware(
        make=first_known(makes),
        model=first_known(models),
        serial=identifier(text(dmi / "product_serial") or text(tree / "serial-number")),
        firmware_uuid=identifier(text(dmi / "product_uuid")).lower(),
        macs=[each.mac for each in interfaces or [] if identifier(each.mac.replace(":", ""))],
    )


def first_known(names: Iterable[str]) -> str:
    return next((found for name in names if (found := identifier(name))), "unknown")


def operating_system(etc: Path) -> tuple[str, str]:
    """(name for people, id and version), from os-release(5)."""
    facts = {}
    for line in (etc / "os-release").read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and not name.startswith("#"):
            facts[name.strip()] = " ".join(shlex.split(value))
    version = f"{facts.get('ID', 'linux')} {facts.get('VERSION_ID', '')}"
    return clean(facts.get("PRETTY_NAME", "Linux")), clean(version)


def kernel(proc: Path) -> str:
    return clean((proc / "sys/kernel/osrelease").read_text())


def boot_id(proc: Path) -> str:
    """Drawn by the kernel at each start."""
    return (proc / "sys/kernel/random/boot_id").read_text().strip()


class _Timex(ctypes.Structure):
    """The head of the kernel's struct timex; the rest is room."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    ]


def clock_synchronized() -> bool:
    """Does the kernel hold its clock to be kept right by somebody (NTP, PTP)? Raises OSError."""
    timex = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return not timex.status & _UNSYNCHRONIZED
