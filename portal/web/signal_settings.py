"""Signals: whether each is watched, for how long before a ticket opens, and where the value comes from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from foundation import clock
from incidents import signal_settings
from incidents.errors import UnknownSignal
from incidents.signal_values import EffectiveSignal
from portal import htmx
from portal.access import TenantRequest, requires
from portal.web.dialogs import form_view
from portal.web.forms import Form, posted
from portal.web.words import period_text

PLATFORMS = {"win": "room systems", "bar": "video bars", "con": "touch consoles", "pan": "panels"}
UNITS = (("1", "seconds"), ("60", "minutes"), ("3600", "hours"))


@require_GET
@requires("settings.view")
def signal_list(request: TenantRequest) -> HttpResponse:
    rows = [
        (
            each,
            _platforms(each),
            period_text(int(each.watch.total_seconds())),
            period_text(int(each.rule.watch.total_seconds())),
        )
        for each in signal_settings.effective(request.tenant.id)
    ]
    live = htmx.live(
        [(each.rule.key, each.enabled, each.watch, each.enabled_from, each.watch_from) for each, *_ in rows]
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    own = sum(not each.is_default for each, *_ in rows)
    return htmx.page(request, "settings/signal_list.html", {"rows": rows, "own": own}, live=live)


def _platforms(signal: EffectiveSignal) -> str:
    return " and ".join(name for key, name in PLATFORMS.items() if key in signal.rule.platforms)


class SignalForm(Form):
    enabled = forms.BooleanField(
        label="Watch this signal",
        required=False,
        help_text="Turning it off closes its open tickets for good.",
    )
    amount = forms.IntegerField(
        label="Watching period",
        min_value=0,
        max_value=604_800,
        help_text="How long it must stay unhealthy before a ticket opens.",
    )
    unit = forms.ChoiceField(label="Unit", choices=UNITS)

    @staticmethod
    def of(signal: EffectiveSignal) -> dict[str, Any]:
        """The values as the form shows them, in the largest unit that leaves no rest."""
        seconds = int(signal.watch.total_seconds())
        unit = next((size for size in (3600, 60) if seconds and seconds % size == 0), 1 if seconds else 60)
        return {"enabled": signal.enabled, "amount": seconds // unit, "unit": str(unit)}

    def changes(self, signal: EffectiveSignal, data: dict[str, Any]) -> dict[str, Any]:
        """What differs from the values in force; the rest keeps its origin."""
        wanted = {"enabled": data["enabled"], "watch": timedelta(seconds=data["amount"] * int(data["unit"]))}
        return {name: value for name, value in wanted.items() if value != getattr(signal, name)}


@form_view
@requires("settings.signals")
def signal_edit(request: TenantRequest, signal: str) -> HttpResponse:
    now = _signal(request, signal)
    back = reverse("portal:signal-settings")
    form = SignalForm(posted(request), initial=SignalForm.of(now))
    if request.method == "POST":
        changed = form.carry_out(
            lambda data: signal_settings.change(
                request.tenant.id, signal, form.changes(now, data), at=clock.now()
            )
        )
        if changed is not None:
            return htmx.done_here(request, f"{now.rule.component} changed", to=back)
    return htmx.dialog(
        request, now.rule.component, submit="Save", back=back, form=form, template="settings/signal_form.html"
    )


@require_POST
@requires("settings.signals")
def signal_reset(request: TenantRequest, signal: str) -> HttpResponse:
    now = _signal(request, signal)
    signal_settings.reset(request.tenant.id, signal, at=clock.now())
    return htmx.done_here(
        request, f"{now.rule.component} is as by default", to=reverse("portal:signal-settings")
    )


def _signal(request: TenantRequest, key: str) -> EffectiveSignal:
    """Raises UnknownSignal."""
    found = signal_settings.effective(request.tenant.id).of(key)
    if found is None:
        raise UnknownSignal(key)
    return found
