"""Which organisation somebody looks at, who may enter several."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from portal.access import TenantRequest, requires
from portal.middleware.tenants import CHOSEN


@require_POST
@requires("rooms.view")
def organisation(request: TenantRequest) -> HttpResponse:
    """Kept in the session; one that may not be entered is as good as none, as at every later request."""
    wanted = request.POST.get("organisation", "")
    enterable = {str(each.id) for each in getattr(request, "organisations", [])}
    if wanted in enterable:
        request.session[CHOSEN] = wanted
    return HttpResponseRedirect(reverse("portal:overview"))
