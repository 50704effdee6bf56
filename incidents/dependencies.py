"""Which faults have one cause: many devices of a place silent at once, many accounts that cannot sign in. Pure.

A cause is assumed above SHARE of the devices of a place and LEAST of them, their faults begun within WINDOW of each
other; it is over when the share is down to ENDS_SHARE, so that it does not come and go with single devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

SHARE, ENDS_SHARE = 0.20, 0.10
LEAST = 5
WINDOW = timedelta(minutes=2)
ACCOUNT_WINDOW = timedelta(minutes=10)  # rooms try to sign in every few minutes
HELD_FOR = timedelta(minutes=10)  # after the cause is over, for devices that come back late


class Family(StrEnum):
    """Faults that may have one cause."""

    SILENCE = "site_silent"  # the value is the type of the cause's ticket
    ACCOUNT = "outage"


FAMILIES: Mapping[str, Family] = {
    "offline": Family.SILENCE,
    "a_offline": Family.SILENCE,
    "monitoring": Family.SILENCE,
    "signin_exchange": Family.ACCOUNT,
    "signin_teams": Family.ACCOUNT,
    "calendar_sync": Family.ACCOUNT,
    "a_signin_teams": Family.ACCOUNT,
}
WINDOWS = {Family.SILENCE: WINDOW, Family.ACCOUNT: ACCOUNT_WINDOW}
EVERYWHERE = "all"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a cause is about: a switch, a site, or all of a customer (both None)."""

    site_id: UUID | None = None
    switch: str = ""

    @property
    def key(self) -> str:
        """Short enough for the column; one open cause of a family has it."""
        if self.switch:
            return f"switch:{self.switch}"[:80]
        return f"site:{self.site_id}" if self.site_id else EVERYWHERE


@dataclass(frozen=True, slots=True)
class Affected:
    """A device at fault, and where it is. `switch`: what its network port belongs to, "" if not known."""

    device_id: UUID
    site_id: UUID | None
    fault_at: datetime
    switch: str = ""


def scopes_of(device: Affected) -> list[Scope]:
    """From the narrowest to the widest."""
    found = []
    if device.switch:
        found.append(Scope(switch=device.switch))
    if device.site_id is not None:
        found.append(Scope(site_id=device.site_id))
    return [*found, Scope()]


def common_cause(
    fault: Affected, affected: Iterable[Affected], totals: Mapping[Scope, int], family: Family
) -> Scope | None:
    """The scope whose failing explains `fault`: the narrowest that holds all that fails with it, None for none.

    `affected`: every device at fault now, with `fault` among them; `totals`: devices watched in each scope.
    """
    window = WINDOWS[family]
    together = [each for each in affected if abs(each.fault_at - fault.fault_at) <= window]
    if len(together) < LEAST:
        return None
    counts: Counter[Scope] = Counter()
    for each in together:
        counts.update(scopes_of(each))
    failing = {scope for scope, number in counts.items() if _fails(number, totals.get(scope, 0))}
    own = [scope for scope in scopes_of(fault) if scope in failing]
    if family is Family.ACCOUNT:  # an account service has no place
        return Scope() if Scope() in failing else None
    if not own:
        return None
    several = sum(1 for scope in failing if scope.site_id is not None) > 1
    if several and Scope() in failing:
        return Scope()  # sites that fail together have a cause above them
    sites = [scope for scope in own if scope.site_id is not None]
    switches = [scope for scope in own if scope.switch]
    if switches and (not sites or counts[switches[0]] == counts[sites[0]]):
        return switches[0]
    return sites[0] if sites else own[0]


def is_over(active: int, total: int) -> bool:
    """Whether so few are still at fault that the cause is gone."""
    return active <= ENDS_SHARE * total


def _fails(number: int, total: int) -> bool:
    return number >= LEAST and number > SHARE * total
