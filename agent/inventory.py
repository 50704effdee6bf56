"""The inventory document: what the machine is and what is attached to it."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from agent import __version__
from agent.canonical import canonical_json
from agent.readers.facts import Devices, Hardware, System

_OF_PERIPHERALS = ("kind", "make", "model", "vendor_id", "product_id", "serial", "firmware", "connected")


def inventory(
    hardware: Hardware, devices: Devices, system: System, addresses: Callable[[str], list[str]]
) -> dict[str, Any]:
    """In a settled order and without anything that changes by itself, so that its digest changes only when
    the machine does. A part that cannot be read is left out, which does not mean that there is none."""
    document: dict[str, Any] = {
        "hardware": asdict(hardware),
        "system": {"os": system.os_name, "kernel": system.kernel, "agent": __version__},
    }
    if devices.peripherals is not None:
        document["peripherals"] = [
            {name: getattr(each, name) for name in _OF_PERIPHERALS} for each in devices.peripherals
        ]
    if devices.displays is not None:
        document["displays"] = [asdict(each) for each in devices.displays]
    if devices.interfaces is not None:
        document["network"] = [
            {
                "name": each.name,
                "kind": "wifi" if each.wireless else "wired",
                "mac": each.mac,
                "connected": each.up,
                "addresses": addresses(each.name),
            }
            for each in devices.interfaces
        ]
    if system.disks is not None:
        document["disks"] = [
            {"name": each.name, "model": each.model, "serial": each.serial} for each in system.disks
        ]
    return document


def digest(document: dict[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(canonical_json(document)).hexdigest()
