"""Incidents, a customer's values and quiet times, and what detection remembers."""

from incidents.models.quiet import MaintenanceWindow, Suppression
from incidents.models.tickets import (
    FaultSpan,
    Incident,
    IncidentAttachment,
    IncidentEntry,
    IncidentLink,
    IncidentQuerySet,
    IncidentRoom,
    RoomEvent,
)
from incidents.models.values import GroupSignalSetting, IncidentTerms, SignalSetting
from incidents.models.watch import AccountFact, HeldFinding, KnownRelease, SignalStability

__all__ = [
    "AccountFact",
    "FaultSpan",
    "GroupSignalSetting",
    "HeldFinding",
    "Incident",
    "IncidentAttachment",
    "IncidentEntry",
    "IncidentLink",
    "IncidentQuerySet",
    "IncidentRoom",
    "IncidentTerms",
    "KnownRelease",
    "MaintenanceWindow",
    "RoomEvent",
    "SignalSetting",
    "SignalStability",
    "Suppression",
]
