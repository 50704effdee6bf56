"""What the catalogue says of devices and peripherals, for whoever lists them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from rest_framework import serializers

from fleet import catalog
from fleet.catalog import Assessment
from fleet.models import Device, Peripheral
from foundation import clock

ATTRIBUTE = "assessment"  # of a device or peripheral, set before it is shown


class AssessmentSerializer(serializers.Serializer[Assessment]):
    state = serializers.ChoiceField(
        choices=[(each.value, each.value) for each in catalog.Verdict], source="verdict"
    )
    reason = serializers.CharField(help_text="Why, in a sentence or two.")
    matched_by = serializers.ChoiceField(
        choices=[(each.value, each.value) for each in catalog.Match],
        help_text="Make and model (name), USB vendor and product (usb), or empty where no row was found.",
    )
    good_firmware = serializers.CharField(
        source="row.good_firmware", default="", help_text="Of that row; empty where it names none."
    )
    row = serializers.SerializerMethodField(help_text="The row of /catalogue, null where none was found.")

    def get_row(self, assessment: Assessment) -> UUID | None:
        return assessment.row.id if assessment.row else None


def assess(devices: Iterable[Device], peripherals: Iterable[Peripheral] = ()) -> None:
    """Keep on each what the catalogue says of it. Peripherals come with their `device`. Two queries."""
    shown: list[Device | Peripheral] = [*devices, *peripherals]
    things = [
        catalog.of_device(each)
        if isinstance(each, Device)
        else catalog.of_peripheral(each, platform=each.device.platform)
        for each in shown
    ]
    for each, assessment in zip(shown, catalog.assess(things, on=clock.now().date()), strict=True):
        setattr(each, ATTRIBUTE, assessment)


class AssessedDevices(serializers.ListSerializer[Any]):
    """Devices of a list, looked up together."""

    def to_representation(self, data: Any) -> Any:
        devices = list(data)
        assess(devices)
        return super().to_representation(devices)


class AssessedPeripherals(serializers.ListSerializer[Any]):
    """The same for peripherals read with their devices."""

    def to_representation(self, data: Any) -> Any:
        peripherals = list(data)
        assess([], peripherals)
        return super().to_representation(peripherals)
