"""The numbers pages show, for whoever asks: kept ones for people with all rooms, counted ones within a scope."""

from __future__ import annotations

from collections import Counter as Tally

from django.db.models import Count

from fleet import counters, scope
from fleet.models import Room
from incidents.counting import names_of
from incidents.models import Incident
from portal.access import Principal


def shown_to(principal: Principal) -> dict[str, int]:
    """By name, as fleet.counters has them. One query for people with all rooms, two within a scope."""
    rights, tenant_id = principal.rights, principal.tenant.id
    if rights.everywhere("rooms.view") and rights.everywhere("tickets.view"):
        return counters.of(tenant_id)
    numbers: Tally[str] = Tally()
    with scope.within(rights, "rooms.view"):
        rooms = Room.objects.for_tenant(tenant_id).current().order_by().values_list("state")
        for state, number in rooms.annotate(number=Count("id")):
            numbers[f"{counters.ROOMS}{state}"] = number
    with scope.within(rights, "tickets.view"):
        tickets = Incident.objects.for_tenant(tenant_id).open().filter(suppressed=False)
        counted = tickets.order_by().values_list("state", "severity").annotate(number=Count("id"))
        for state, severity, number in counted:
            for name in names_of(state, severity):
                numbers[name] += number
    return dict(numbers)


def kept_ones_hold(principal: Principal) -> bool:
    """Whether the kept numbers of sites hold for this person too."""
    return principal.rights.everywhere("rooms.view")
