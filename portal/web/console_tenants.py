"""The customers served, with what is wrong at each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db.models import F
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from fleet.models import Counter
from foundation.context import MAX_TENANTS, tenant
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.middleware import provider_access
from tenancy.models import Tenant


@dataclass(frozen=True)
class Line:
    tenant: Tenant
    numbers: dict[str, int]

    @property
    def rooms(self) -> int:
        return sum(number for name, number in self.numbers.items() if name.startswith("rooms."))

    @property
    def healthy(self) -> int:
        return self.numbers.get("rooms.healthy", 0)

    @property
    def unhealthy(self) -> int:
        return self.numbers.get("rooms.unhealthy", 0)

    @property
    def offline(self) -> int:
        return self.numbers.get("rooms.unmonitored", 0)

    @property
    def open(self) -> int:
        return self.numbers.get("incidents.open", 0)

    @property
    def critical(self) -> int:
        return self.numbers.get("incidents.critical", 0)

    @property
    def waiting(self) -> int:
        return self.numbers.get("incidents.needs_action", 0)


@require_GET
@requires("queue.work")
def console_tenants(request: TenantRequest) -> HttpResponse:
    served = principal_of(request).tenants
    provider_access.visit(request, *(each.id for each in served))
    numbers: dict[UUID, dict[str, int]] = {each.id: {} for each in served}
    for tenant_id, name, value in _counted(numbers):
        numbers[tenant_id][name] = value
    live = htmx.live([(key, sorted(held.items())) for key, held in numbers.items()])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {"lines": [Line(each, numbers[each.id]) for each in served], "console": True}
    return htmx.page(request, "operations/tenants.html", context, live=live, frame=htmx.CONSOLE_PAGE)


def _counted(tenant_ids: Iterable[UUID]) -> Iterator[tuple[UUID, str, int]]:
    """The counters of whole customers, as many at once as may be entered."""
    waiting = iter(tenant_ids)
    while some := list(islice(waiting, MAX_TENANTS)):
        with tenant(*some):
            rows = Counter.objects.for_tenant(*some).filter(scope=F("tenant_id"))
            found = list(rows.values_list("tenant_id", "name", "value"))
        yield from found
