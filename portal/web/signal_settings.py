"""Signals: whether each is watched, how severe it is, how long it must be unhealthy or healthy, and where each value
comes from: the default, the customer, or a group of rooms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from fleet import room_groups
from fleet.models import RoomGroup
from foundation import clock
from incidents import signal_settings
from incidents.errors import UnknownSignal
from incidents.severity import Severity
from incidents.signal_values import EffectiveSignal, Origin
from portal import htmx
from portal.access import TenantRequest, requires
from portal.web import choices
from portal.web.dialogs import form_view
from portal.web.forms import Form, posted
from portal.web.words import SEVERITIES, period_text

PLATFORMS = {"win": "room systems", "bar": "video bars", "con": "touch consoles", "pan": "panels"}
UNITS = (("1", "seconds"), ("60", "minutes"), ("3600", "hours"))


@dataclass(frozen=True)
class Value:
    """One value as a cell says it. `origin`: who set it; "" for the default."""

    text: str
    origin: str
    usual: str  # what counts by default, where this differs


@dataclass(frozen=True)
class Row:
    signal: EffectiveSignal
    platforms: str
    watch: Value
    recover: Value
    severity: Value
    enabled: Value
    own: bool  # a value was set at the level shown


@require_GET
@requires("settings.view")
def signal_list(request: TenantRequest) -> HttpResponse:
    group = _group(request)
    level = Origin.GROUP if group else Origin.CUSTOMER
    shown = _all(request, group)
    rows = [_row(each, request.tenant.name, level) for each in shown]
    live = htmx.live(
        [(row.signal.rule.key, row.watch, row.recover, row.severity, row.enabled) for row in rows]
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "rows": rows,
        "own": sum(row.own for row in rows),
        "group": group,
        "groups": choices.groups(),
        "tail": _tail(group),
    }
    return htmx.page(request, "settings/signal_list.html", context, live=live)


def _all(request: TenantRequest, group: RoomGroup | None) -> Iterable[EffectiveSignal]:
    values = signal_settings.effective(request.tenant.id)
    if group is None:
        return list(values)
    in_group = (values.in_group(each.rule.key, group.id) for each in values)
    return [each for each in in_group if each is not None]


def _row(signal: EffectiveSignal, customer: str, level: Origin) -> Row:
    names = {Origin.DEFAULT: "", Origin.CUSTOMER: customer, Origin.GROUP: signal.group}
    rule = signal.rule

    def value(text: str, usual: str, origin: Origin) -> Value:
        return Value(text, names[origin], usual if usual != text else "")

    severity = (rule.severity or Severity.RECOMMENDED).label
    return Row(
        signal,
        " and ".join(name for key, name in PLATFORMS.items() if key in rule.platforms),
        value(_period(signal.watch), _period(rule.watch), signal.watch_from),
        value(_period(signal.recover), _period(rule.recover), signal.recover_from),
        value(signal.severity.label, severity, signal.severity_from),
        value(_watched(signal.enabled), _watched(not rule.optional), signal.enabled_from),
        signal.has_own(level),
    )


def _period(length: timedelta) -> str:
    return period_text(int(length.total_seconds())).capitalize()


def _watched(enabled: bool) -> str:
    return "Watched" if enabled else "Off"


class SignalForm(Form):
    enabled = forms.BooleanField(
        label="Watch this signal",
        required=False,
        help_text="Turning it off closes its open tickets for good.",
    )
    severity = forms.TypedChoiceField(
        label="Severity", coerce=int, choices=[(level, label) for level, (_, label) in SEVERITIES.items()]
    )
    amount = forms.IntegerField(
        label="Watching period",
        min_value=0,
        max_value=604_800,
        help_text="How long it must stay unhealthy before a ticket opens.",
    )
    unit = forms.ChoiceField(label="Unit", choices=UNITS)
    recover_amount = forms.IntegerField(
        label="Healthy for",
        min_value=0,
        max_value=604_800,
        help_text="How long it must stay healthy before its ticket is resolved.",
    )
    recover_unit = forms.ChoiceField(label="Unit", choices=UNITS)

    @staticmethod
    def of(signal: EffectiveSignal) -> dict[str, Any]:
        """The values as the form shows them, in the largest unit that leaves no rest."""
        amount, unit = _in_units(signal.watch)
        recover_amount, recover_unit = _in_units(signal.recover)
        return {
            "enabled": signal.enabled,
            "severity": int(signal.severity),
            "amount": amount,
            "unit": unit,
            "recover_amount": recover_amount,
            "recover_unit": recover_unit,
        }

    def changes(self, signal: EffectiveSignal, data: dict[str, Any]) -> dict[str, Any]:
        """What differs from the values in force; the rest keeps its origin."""
        wanted = {
            "enabled": data["enabled"],
            "severity": Severity(data["severity"]),
            "watch": timedelta(seconds=data["amount"] * int(data["unit"])),
            "recover": timedelta(seconds=data["recover_amount"] * int(data["recover_unit"])),
        }
        return {name: value for name, value in wanted.items() if value != getattr(signal, name)}


def _in_units(length: timedelta) -> tuple[int, str]:
    seconds = int(length.total_seconds())
    unit = next((size for size in (3600, 60) if seconds and seconds % size == 0), 1 if seconds else 60)
    return seconds // unit, str(unit)


@form_view
@requires("settings.signals")
def signal_edit(request: TenantRequest, signal: str) -> HttpResponse:
    """For all rooms, or those of the group the address names (`?group=`)."""
    group = _group(request)
    now = _signal(request, signal, group)
    back = reverse("portal:signal-settings") + _tail(group)
    form = SignalForm(posted(request), initial=SignalForm.of(now))
    if request.method == "POST":
        changed = form.carry_out(
            lambda data: signal_settings.change(
                request.tenant.id, signal, form.changes(now, data), at=clock.now(), group_id=_id(group)
            )
        )
        if changed is not None:
            return htmx.done_here(request, f"{now.rule.component} changed", to=back)
    where = f"in {group.name}" if group else ""
    return htmx.dialog(
        request,
        f"{now.rule.component} {where}".strip(),
        submit="Save",
        back=back,
        form=form,
        template="settings/signal_form.html",
    )


@require_POST
@requires("settings.signals")
def signal_reset(request: TenantRequest, signal: str) -> HttpResponse:
    group = _group(request)
    now = _signal(request, signal, group)
    signal_settings.reset(request.tenant.id, signal, at=clock.now(), group_id=_id(group))
    said = f"{now.rule.component} is as {'elsewhere' if group else 'by default'}"
    return htmx.done_here(request, said, to=reverse("portal:signal-settings") + _tail(group))


def _group(request: TenantRequest) -> RoomGroup | None:
    """Raises Missing for a group that is named and not there."""
    named = request.GET.get("group")
    if not named:
        return None
    return room_groups.group(choices.as_id(named) or UUID(int=0))


def _id(group: RoomGroup | None) -> UUID | None:
    return group.id if group else None


def _tail(group: RoomGroup | None) -> str:
    return f"?{urlencode({'group': group.id})}" if group else ""


def _signal(request: TenantRequest, key: str, group: RoomGroup | None) -> EffectiveSignal:
    """Raises UnknownSignal."""
    values = signal_settings.effective(request.tenant.id)
    found = values.in_group(key, group.id) if group else values.of(key)
    if found is None:
        raise UnknownSignal(key)
    return found
