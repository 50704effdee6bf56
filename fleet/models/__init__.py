"""Places, rooms, devices and what they last told."""

from fleet.models.assets import Asset
from fleet.models.catalog import CatalogEntry, CatalogFacts, OwnCatalogEntry
from fleet.models.devices import (
    Device,
    Fault,
    IngestLiveness,
    IngestOutage,
    MonitoringSettings,
    Peripheral,
    SignalState,
    SignalTransition,
)
from fleet.models.history import BulkEdit, BulkEditRoom, RoomHistory
from fleet.models.imports import ImportProblem, ImportRow, ImportRun
from fleet.models.places import (
    ClosedDay,
    Counter,
    Place,
    Room,
    RoomDay,
    RoomGroup,
    RoomGroupMember,
    RoomWord,
    ThingWord,
)

__all__ = [
    "Asset",
    "BulkEdit",
    "BulkEditRoom",
    "CatalogEntry",
    "CatalogFacts",
    "ClosedDay",
    "Counter",
    "Device",
    "Fault",
    "ImportProblem",
    "ImportRow",
    "ImportRun",
    "IngestLiveness",
    "IngestOutage",
    "MonitoringSettings",
    "OwnCatalogEntry",
    "Peripheral",
    "Place",
    "Room",
    "RoomDay",
    "RoomGroup",
    "RoomGroupMember",
    "RoomHistory",
    "RoomWord",
    "SignalState",
    "SignalTransition",
    "ThingWord",
]
