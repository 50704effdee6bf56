"""Displays, network, disks, clock and make of a Windows machine, from the answers of windows_queries."""

import re
from typing import Any

from agent.readers.facts import Disk, Display, Hardware, Interface, clean, identifier

# D3DKMDT_VIDEO_OUTPUT_TECHNOLOGY: LVDS, embedded DisplayPort, embedded UDI, internal
_BUILT_IN = {6, 11, 13, 0x80000000, -0x80000000}
_WIRED, _WIRELESS = (
    {0, 14},
    {1, 9},
)  # NDIS_PHYSICAL_MEDIUM: unspecified and 802.3; wireless LAN, native 802.11
_CONNECTED = 1  # NET_IF_MEDIA_CONNECT_STATE
_USB_BUS = 7  # STORAGE_BUS_TYPE
_HEALTH = {0: (True, ""), 1: (False, "Windows warns of it"), 2: (False, "Windows finds it unhealthy")}
Row = dict[str, Any]


def displays(monitors: list[Row], outputs: list[Row]) -> list[Display]:
    """Active displays, sorted."""
    technology = {row["InstanceName"]: row["VideoOutputTechnology"] for row in outputs}
    return sorted(
        Display(
            connector=clean(row["InstanceName"]),
            make=clean(_letters(row["ManufacturerName"])),
            model=clean(_letters(row["UserFriendlyName"]) or _letters(row["ProductCodeID"])),
            serial=identifier(_letters(row["SerialNumberID"])),
            built_in=technology.get(row["InstanceName"]) in _BUILT_IN,
        )
        for row in monitors
        if row["Active"]
    )


def interfaces(adapters: list[Row]) -> list[Interface]:
    """Physical Ethernet and Wi-Fi adapters, wired ones first."""
    found = [
        Interface(
            name=clean(row["Name"]),
            wireless=row["NdisPhysicalMedium"] in _WIRELESS,
            up=row["MediaConnectState"] == _CONNECTED,
            mac=":".join(re.findall("..", (row["PermanentAddress"] or "").lower())),
        )
        for row in adapters
        if row["NdisPhysicalMedium"] in _WIRED | _WIRELESS
    ]
    return sorted(found, key=lambda each: (each.wireless, each.name))


def wifi_strength_pct(printed: str) -> float | None:
    """From `netsh wlan show interfaces`; its labels are translated, but one value alone is in per cent."""
    found = re.search(r":\s*(\d{1,3})\s*%", printed)
    return float(found[1]) if found else None


def disks(rows: list[Row]) -> list[Disk]:
    """Built-in disks, sorted, with what Windows makes of their SMART data."""
    return sorted(
        Disk(
            f"disk {row['DeviceId']}",
            identifier(row["FriendlyName"] or ""),
            identifier(row["SerialNumber"] or ""),
            *_HEALTH.get(row["HealthStatus"], (None, "")),
        )
        for row in rows
        if row["BusType"] != _USB_BUS
    )


def clock_synchronized(printed: str) -> bool | None:
    """From `w32tm /query /status`; labels are translated, but the first line is the leap indicator, 3 for
    a clock that nobody keeps right."""
    lines = printed.strip().splitlines()
    found = re.match(r"[^:]*:\s*([0-3])\b", lines[0]) if lines else None
    return None if found is None else found[1] != "3"


def hardware(answers: dict[str, list[Row]]) -> Hardware:
    """Whatever of it was answered."""

    def one(name: str, value: str) -> str:
        return identifier(next((str(row.get(value) or "") for row in answers.get(name, [])), ""))

    return Hardware(
        make=one("computer", "Manufacturer") or "unknown",
        model=one("computer", "Model") or "unknown",
        serial=one("bios", "SerialNumber"),
        firmware_uuid=one("product", "UUID").lower(),
        macs=[
            each.mac
            for each in interfaces(answers.get("adapters", []))
            if identifier(each.mac.replace(":", ""))
        ],
    )


def _letters(codes: list[int] | None) -> str:
    """WMI gives text as a list of code units, filled up with zeroes."""
    return "".join(chr(code) for code in codes or [] if code)
