"""What the catalogue says of devices and equipment, as templates/catalogue/_standing.html shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from fleet import catalog
from fleet.catalog import Assessment
from fleet.models import Device, Peripheral
from foundation import clock
from portal.web.words import CATALOGUE_VERDICTS
from updates.versions import NotAVersion, Scheme, compare


@dataclass(frozen=True)
class Standing:
    """Of one thing. `row_id`: the row of the catalogue that was found."""

    tone: str
    label: str
    reason: str
    row_id: UUID | None

    @classmethod
    def of(cls, assessment: Assessment, firmware: str = "") -> Standing:
        row = assessment.row
        good = row.good_firmware if row else ""
        reason = " ".join(filter(None, (assessment.reason, _firmware(firmware, good))))
        return cls(*CATALOGUE_VERDICTS[assessment.verdict], reason, row.id if row else None)


def _firmware(held: str, good: str) -> str:
    """Compared where both are plain numbers; what a list writes in words is for people to compare."""
    if not good:
        return ""
    try:
        older = bool(held) and compare(Scheme.DOTTED, held, good) < 0
    except NotAVersion:
        older = False
    return (
        f"Its firmware {held} is older than {good}, which is known to be good."
        if older
        else f"Good firmware: {good}."
    )


def standings_of(
    things: Iterable[Device | Peripheral], devices: Mapping[UUID, Device] | None = None
) -> list[Standing]:
    """One for each thing, in order; two queries. `devices`: those of peripherals that were read without them."""
    shown = list(things)
    asked = []
    for each in shown:
        if isinstance(each, Device):
            asked.append(catalog.of_device(each))
        else:
            device = devices[each.device_id] if devices is not None else each.device
            asked.append(catalog.of_peripheral(each, platform=device.platform))
    found = catalog.assess(asked, on=clock.now().date())
    return [
        Standing.of(assessment, each.firmware if isinstance(each, Peripheral) else "")
        for each, assessment in zip(shown, found, strict=True)
    ]
