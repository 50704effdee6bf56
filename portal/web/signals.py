"""The signals of a room as cards: state by tone and word, since when, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fleet.models import Device, SignalState
from incidents.models import Incident
from incidents.signal_values import SignalValues
from portal.web.words import SIGNAL_STATES

ICONS = {
    "camera": "camera",
    "hdmi": "cable",
    "mic": "mic",
    "vendor_mic": "mic",
    "spk": "speaker",
    "vendor_speaker": "speaker",
    "display": "display",
    "network": "network",
    "wifi": "network",
    "offline": "network",
    "a_offline": "network",
    "monitoring": "network",
    "signin": "lock",
    "calendar": "calendar",
    "app": "app",
    "os": "os",
    "time": "clock",
    "disk": "chip",
    "cpu": "chip",
}
ORDER = ("unhealthy", "watching", "unknown", "healthy", "disabled")


@dataclass(frozen=True)
class Card:
    id: str
    name: str
    icon: str
    state: str
    detail: str
    since: datetime
    watch_until: datetime | None
    device: str  # named where the room has several
    incident_id: UUID | None

    @property
    def tone(self) -> str:
        return SIGNAL_STATES[self.state][0]

    @property
    def label(self) -> str:
        return SIGNAL_STATES[self.state][1]


def cards(devices: list[Device], values: SignalValues, incidents: Iterable[Incident]) -> list[Card]:
    """Of a room's devices (one tenant, entered), worst first, then by name."""
    if not devices:
        return []
    names = {device.id: device.name for device in devices}
    tickets = {(each.device_id, each.signal, each.instance): each.id for each in incidents}
    states = SignalState.objects.for_tenant(devices[0].tenant_id).filter(device_id__in=names)
    found = [
        _card(each, values, names[each.device_id] if len(names) > 1 else "", tickets)
        for each in states.order_by("signal", "instance")
    ]
    return sorted(found, key=lambda card: (ORDER.index(card.state), card.name, card.device))


def _card(
    signal: SignalState,
    values: SignalValues,
    device: str,
    tickets: dict[tuple[UUID | None, str, str], UUID],
) -> Card:
    known = values.of(signal.signal)
    name = known.rule.component if known else signal.signal
    ticket = tickets.get((signal.device_id, signal.signal, signal.instance))
    state = str(signal.state)
    if known is None or not known.enabled:
        state = "disabled" if known else state
    elif state == SignalState.State.UNHEALTHY and ticket is None and signal.watch_until is not None:
        state = "watching"
    return Card(
        id=f"signal-{signal.id}",
        name=f"{name} {signal.instance}".strip(),
        icon=icon_of(signal.signal),
        state=state,
        detail=signal.detail,
        since=signal.since,
        watch_until=signal.watch_until if state == "watching" else None,
        device=device,
        incident_id=ticket,
    )


def icon_of(signal: str) -> str:
    bare = signal.removeprefix("a_")
    return next((icon for start, icon in ICONS.items() if bare.startswith(start)), "incident")
