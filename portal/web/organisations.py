"""Which organisation somebody looks at, who may enter several."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from portal.access import TenantRequest, signed_in
from portal.middleware.tenants import CHOSEN


@require_POST
@signed_in
def organisation(request: TenantRequest) -> HttpResponse:
    """Kept in the session; one that may not be entered is as good as none, as at every later request."""
    wanted = request.POST.get("organisation", "")
    enterable = {str(each.id) for each in getattr(request, "organisations", [])}
    if wanted in enterable:
        request.session[CHOSEN] = wanted
    return HttpResponseRedirect(reverse("portal:overview"))
