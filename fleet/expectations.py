"""The equipment that must be there in a room, counted by the signal that misses it.

What is not listed is not expected: a missing camera is then unknown, never a fault. An agent adds what it found
at its enrollment; the room's own list comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.models import Device, Peripheral
from foundation.errors import NotValid

AT_MOST = 16
EQUIPMENT = {
    "camera_room": "Room camera",
    "camera_content": "Content camera",
    "mic_conf": "Conferencing microphone",
    "spk_conf": "Conferencing speaker",
    "display_front": "Front-of-room display",
    "display_console": "Console display",
    "hdmi_ingest": "HDMI ingest",
}
_COUNTED_AS = {  # kind of peripheral: the signals that look for one
    "camera": ("camera_room",),
    "content_camera": ("camera_content",),
    "microphone": ("mic_conf",),
    "speaker": ("spk_conf",),
    "speakerphone": ("mic_conf", "spk_conf"),
    "display": ("display_front",),
    "display_console": ("display_console",),
    "hdmi_ingest": ("hdmi_ingest",),
}


def validated(expected: Mapping[str, Any], field: str = "expected") -> dict[str, int]:
    """{signal: count} with counts of 1 to 16; a count of 0 means not expected and is left out. Raises NotValid."""
    kept: dict[str, int] = {}
    for signal, count in expected.items():
        if signal not in EQUIPMENT:
            raise NotValid(
                f"There is no equipment {signal[:40]!r}; known are {', '.join(EQUIPMENT)}.", field=field
            )
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= AT_MOST:
            raise NotValid(f"The count of {signal} must be a whole number from 0 to {AT_MOST}.", field=field)
        if count:
            kept[signal] = count
    return kept


def seen_in(peripherals: Iterable[Peripheral]) -> dict[str, int]:
    """What is connected now, as a list of what to expect from now on."""
    seen: dict[str, int] = {}
    for peripheral in peripherals:
        if peripheral.connected:
            for signal in _COUNTED_AS.get(peripheral.kind, ()):
                seen[signal] = min(seen.get(signal, 0) + 1, AT_MOST)
    return seen


def seen_by(device: Device) -> dict[str, int]:
    return seen_in(Peripheral.objects.for_tenant(device.tenant_id).filter(device=device))
