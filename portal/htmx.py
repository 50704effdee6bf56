"""One view, two answers: the whole page, or for htmx the part inside its frame. And what is live stays cheap."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from django.contrib import messages
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from foundation.errors import DomainError

SEEN = "X-Seen"  # what a polling page names as its version; the same again is answered with 204
PORTAL, FRAGMENT = "portal.html", "fragment.html"
CONSOLE, CONSOLE_PAGE = "operations.html", "operations_page.html"  # the queue; other pages of the console
DIALOG, DIALOG_PAGE = "dialog.html", "dialog_page.html"
FEW_SECONDS = 2  # queue, onboarding
QUARTER_MINUTE = 15


@dataclass(frozen=True)
class Live:
    """How a page stays current: asks itself every `every_s` seconds, naming the version it shows."""

    version: str
    every_s: int = QUARTER_MINUTE


def live(*facts: object, every_s: int = QUARTER_MINUTE) -> Live:
    """The version of a page whose content follows from `facts` (values with a stable repr)."""
    return Live(blake2b(repr(facts).encode(), digest_size=9).hexdigest(), every_s)


def wants_fragment(request: HttpRequest) -> bool:
    """htmx asks for the part inside the frame; on Back it wants the whole page."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


def unchanged(request: HttpRequest, current: Live) -> bool:
    """Does a polling page show this version already? Then answer `nothing_new()` and save the rest."""
    return wants_fragment(request) and request.headers.get(SEEN) == current.version


def nothing_new() -> HttpResponse:
    return HttpResponse(status=204)


def page(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    live: Live | None = None,
    frame: str = PORTAL,
    status: int = 200,
) -> HttpResponse:
    layout = FRAGMENT if wants_fragment(request) else frame
    response = render(request, template, {**context, "layout": layout, "live": live}, status=status)
    response.headers["Vary"] = "HX-Request, Cookie"
    return response


def dialog(
    request: HttpRequest,
    question: str,
    *,
    submit: str,
    back: str,
    form: BaseForm | None = None,
    explain: str = "",
    danger: bool = False,
    template: str = "components/plain_dialog.html",
    frame: str = PORTAL,
    **context: Any,
) -> HttpResponse:
    """A question or form: a dialog over the page for htmx, a page of its own without it. 422 shows mistakes.

    `submit` repeats the verb of the question; `danger` for what cannot be undone.
    """
    values = {
        **context,
        "question": question,
        "submit": submit,
        "back": back,
        "form": form,
        "explain": explain,
        "danger": danger,
        "frame": frame,
        "layout": DIALOG if wants_fragment(request) else DIALOG_PAGE,
    }
    return render(request, template, values, status=422 if form is not None and form.errors else 200)


def done(request: HttpRequest, text: str, *, to: str, undo: str = "") -> HttpResponse:
    """After a change: onward to `to` with a toast. `undo`: address whose POST is the inverse."""
    if text:
        messages.success(request, text, extra_tags=undo)
    if wants_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": to})
    return HttpResponseRedirect(to)


def done_here(request: HttpRequest, text: str, *, to: str, undo: str = "") -> HttpResponse:
    """After a change that the live page shows by itself: a toast, and the page asks again at once."""
    if not wants_fragment(request):
        return done(request, text, to=to, undo=undo)
    events = {"greenroom:toast": {"text": text, "undo": undo}, "greenroom:refresh": {}}
    return HttpResponse(status=204, headers={"HX-Trigger": json.dumps(events)})


def refused(request: HttpRequest, error: DomainError, *, to: str) -> HttpResponse:
    """A button's wish the domain refused: back to where it was pressed, with the reason."""
    if wants_fragment(request):
        events = {"greenroom:toast": {"text": error.message, "tone": "bad"}, "greenroom:refresh": {}}
        return HttpResponse(status=204, headers={"HX-Trigger": json.dumps(events)})
    messages.error(request, error.message)
    return HttpResponseRedirect(to)


def mistaken(form: BaseForm) -> HttpResponse:
    """The first message of a form that stands where it is, with what was typed: only a toast says it."""
    return standing(next(str(messages[0]) for messages in form.errors.values()))


def standing(message: str) -> HttpResponse:
    """Only a toast says why not: the page and what was typed stay."""
    events = {"greenroom:toast": {"text": message, "tone": "bad"}}
    return HttpResponse(status=422, headers={"HX-Trigger": json.dumps(events), "HX-Reswap": "none"})


def blame(form: BaseForm, error: DomainError) -> None:
    """Show the domain's refusal under the field at fault, or above the form."""
    form.add_error(error.field if error.field in form.fields else None, error.message)


def next_address(request: HttpRequest, default: str) -> str:
    """Where the caller wants to return, if it is an address of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else default
