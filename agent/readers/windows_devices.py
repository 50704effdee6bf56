"""Peripherals from Windows' Plug and Play devices."""

import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

from agent.readers.facts import Peripheral, clean, identifier
from agent.readers.linux_usb import KIND_BY_CLASS, release, sound_kind

_USB = re.compile(r"USB\\VID_([0-9A-F]{4})&PID_([0-9A-F]{4})(&MI_[0-9A-F]{2})?\\(.+)", re.IGNORECASE)
_CAPTURE = "{0.0.1."  # in the name of an audio endpoint; {0.0.0. is one that plays
_INTERFACE_CLASS = re.compile(r"USB\\Class_([0-9A-F]{2})", re.IGNORECASE)
_REVISION = re.compile(r"&REV_([0-9A-F]{4})", re.IGNORECASE)
Row = dict[str, Any]


def peripherals(rows: list[Row]) -> list[Peripheral]:
    """One for each USB device however many functions it has, and cameras on other buses; sorted."""
    by_id = {str(row["InstanceId"]).upper(): row for row in rows}
    devices: dict[str, list[Row]] = defaultdict(list)
    captures: set[str | None] = set()
    renders: set[str | None] = set()
    found = []
    for own_id, row in by_id.items():
        owner = _usb_device(own_id, by_id)
        if row["Class"] == "AudioEndpoint":
            (captures if _CAPTURE in own_id else renders).add(owner)
        elif owner is not None:
            devices[owner].append(row)
        elif row["Class"] == "Camera":
            found.append(Peripheral("camera", _make(row), clean(row["FriendlyName"] or "")))
    for owner, functions in devices.items():
        found.append(_described(owner, functions, records=owner in captures, plays=owner in renders))
    return sorted(found)


def _usb_device(own_id: str, by_id: dict[str, Row]) -> str | None:
    """The whole device that a function or an endpoint belongs to."""
    for _ in range(4):  # endpoint, function, device
        match = _USB.fullmatch(own_id)
        if match and match[3] is None:
            return own_id
        parent = (by_id.get(own_id) or {}).get("Parent")
        if not isinstance(parent, str):
            return None
        own_id = parent.upper()
    return None


def _described(owner: str, functions: list[Row], *, records: bool, plays: bool) -> Peripheral:
    match = _USB.fullmatch(owner)
    assert match, "owners are found by this pattern"
    classes = {
        number.lower()
        for row in functions
        for number in _INTERFACE_CLASS.findall(_joined(row, "CompatibleID"))
    }
    kind = next((kind for number, kind in KIND_BY_CLASS.items() if number in classes), "other")
    # The function that names the kind is named after the product, the device itself "USB Composite Device".
    functions = sorted(
        functions, key=lambda row: (row["Class"] not in ("Camera", "MEDIA"), str(row["InstanceId"]))
    )
    revision = _REVISION.search(" ".join(_joined(row, "HardwareID") for row in functions))
    found = Peripheral(
        kind=kind,
        make=_make(functions[0]),
        model=identifier(functions[0]["FriendlyName"] or ""),
        vendor_id=match[1].lower(),
        product_id=match[2].lower(),
        serial="" if "&" in match[4] else identifier(match[4]),  # with & it is a place that Windows made up
        firmware=release(revision[1]) if revision else "",
        records=records,
        plays=plays,
    )
    return replace(found, kind=sound_kind(records, plays)) if kind == "audio" else found


def _make(row: Row) -> str:
    make = identifier(row.get("Manufacturer") or "")
    return (
        "" if make.startswith(("(", "Microsoft")) else make
    )  # the class driver's maker, "(Generic USB Audio)"


def _joined(row: Row, name: str) -> str:
    values = row.get(name) or []
    return " ".join(map(str, values)) if isinstance(values, list) else str(values)
