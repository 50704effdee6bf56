"""The ground of the operations console: which customers a request may touch, and one ticket among theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404

from foundation.context import MAX_TENANTS, tenant
from incidents.models import Incident
from portal.access import Principal, TenantRequest, principal_of
from portal.middleware import provider_access
from tenancy import tenants
from tenancy.models import Person, User


def user_of(principal: Principal) -> User:
    """The console is for people. Raises PermissionDenied for a program."""
    if principal.user is None:
        raise PermissionDenied
    return principal.user


@contextmanager
def ticket(request: TenantRequest, incident_id: UUID) -> Iterator[tuple[Incident, Person]]:
    """Enter the customer of a ticket; answers it and the operator as that customer knows him.

    Raises Http404 for a ticket of a customer not served, as for a missing one.
    """
    principal = principal_of(request)
    tenant_id = _owner_of(incident_id, principal.tenant_ids)
    if tenant_id is None:
        raise Http404
    with tenant(tenant_id):
        rows = Incident.objects.for_tenant(tenant_id).select_related(
            "tenant", "room__place", "device", "assignee", "recorded_by", "parent"
        )
        incident = rows.filter(id=incident_id).first()
        person = tenants.person_in(tenant_id, user_of(principal).id)
        if incident is None or person is None:
            raise Http404
        provider_access.visit(request, tenant_id)
        yield incident, person


def _owner_of(incident_id: UUID, served: Iterable[UUID]) -> UUID | None:
    waiting = iter(served)
    while some := list(islice(waiting, MAX_TENANTS)):
        with tenant(*some):
            rows = Incident.objects.for_tenant(*some).filter(id=incident_id)
            owner: UUID | None = rows.values_list("tenant_id", flat=True).first()
        if owner is not None:
            return owner
    return None
