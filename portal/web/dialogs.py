"""Questions before what matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.views.decorators.http import require_http_methods

from foundation.errors import DomainError
from portal import htmx
from portal.access import TenantRequest
from portal.web.forms import Form, posted

form_view = require_http_methods(["GET", "HEAD", "POST"])


def confirm(
    request: TenantRequest,
    question: str,
    *,
    submit: str,
    explain: str,
    back: str,
    to: str,
    change: Callable[[], Any],
    said: str,
    danger: bool = True,
    frame: str = htmx.PORTAL,
    **shown: Any,
) -> HttpResponse:
    """Ask before what matters; the domain may still refuse. `danger`: it cannot be undone. `shown`: as htmx.dialog
    takes it, `template` with what it needs."""
    form = Form(posted(request))
    if request.method == "POST":
        try:
            change()
        except DomainError as error:
            form.add_error(None, error.message)
        else:
            return htmx.done(request, said, to=to)
    return htmx.dialog(
        request,
        question,
        submit=submit,
        back=back,
        form=form,
        explain=explain,
        danger=danger,
        frame=frame,
        **shown,
    )
