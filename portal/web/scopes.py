"""Where a role holds, as forms ask for it and pages say it: everywhere, or named groups and rooms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count

from fleet.models import Room, RoomGroup
from foundation.context import current_tenant
from portal.web import choices
from portal.web.forms import Form, choose
from tenancy.models import Tenant
from tenancy.rights import Place
from tenancy.scopes import Scope

MOST_ROOMS = 200  # by name in one form; whoever wants more makes a group
WHERE = (("all", "All rooms"), ("some", "Some room groups and rooms"))


class ScopeForm(Form):
    """`everywhere` and `places` of the cleaned data are what the domain takes.

    What is held and cannot be shown (beyond what is offered, a retired room, rooms of one name) stays held.
    """

    where = forms.ChoiceField(label="Where", choices=WHERE, initial="all", widget=forms.RadioSelect)
    groups = forms.MultipleChoiceField(
        label="Room groups", required=False, widget=forms.CheckboxSelectMultiple
    )
    rooms = forms.CharField(
        label="Rooms",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Names of rooms, one a line.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unseen: list[Place] = []
        if _of_operator():  # it has no rooms: a role holds in all of its house
            for name in ("where", "groups", "rooms"):
                del self.fields[name]
            return
        offered = choices.groups()
        choose(self, "groups", offered)
        held = [(kind, UUID(str(key))) for kind, key in self.initial.get("held", ())]
        shown = {("group", UUID(key)) for key, _ in offered}
        shown |= {("room", key) for key in _rooms_shown(key for kind, key in held if kind == "room")}
        self.unseen = [place for place in held if place not in shown]
        for field, kind in (("groups", "group"), ("rooms", "room")):
            say_unseen(self, field, sum(1 for each, _ in self.unseen if each == kind))

    def clean_rooms(self) -> list[UUID]:
        return rooms_named(self.cleaned_data["rooms"])

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        data["everywhere"] = data.get("where") != "some"
        groups: list[Place] = [("group", UUID(key)) for key in data.get("groups", ())]
        rooms: list[Place] = [("room", key) for key in data.get("rooms") or ()]
        data["places"] = [] if data["everywhere"] else [*groups, *rooms, *self.unseen]
        if not data["everywhere"] and not data["places"] and not self.errors:
            self.add_error("groups", "Choose a room group, or name a room.")
        return data

    @staticmethod
    def initial_of(everywhere: bool, scope: Scope) -> dict[str, Any]:
        """How the form shows what is kept."""
        rooms = [UUID(str(key)) for kind, key in scope if kind == "room"]
        return {
            "where": "all" if everywhere else "some",
            "groups": [key for kind, key in scope if kind == "group"],
            "rooms": names_of_rooms(rooms),
            "held": scope,
        }


def rooms_named(text: str) -> list[UUID]:
    """Rooms by their names, one a line, as written. Raises ValidationError for a name that is none's or several'."""
    names = list(dict.fromkeys(filter(None, map(str.strip, text.splitlines()))))
    if len(names) > MOST_ROOMS:
        raise ValidationError(f"At most {MOST_ROOMS} rooms here. Make a room group of them.")
    rows = Room.objects.for_tenant(current_tenant()).current().filter(name__in=names)
    found: dict[str, list[UUID]] = {}
    for key, name in rows.values_list("id", "name"):
        found.setdefault(name, []).append(key)
    for name in names:
        if len(found.get(name, ())) != 1:
            why = "Several rooms have the name" if name in found else "There is no room"
            raise ValidationError(f"{why} {name[:60]}.")
    return [found[name][0] for name in names]


def names_of_rooms(room_ids: Iterable[UUID]) -> str:
    """The inverse: one name a line, by name; only rooms that `rooms_named` would find."""
    return "\n".join(sorted(_rooms_shown(room_ids).values()))


def _rooms_shown(room_ids: Iterable[UUID]) -> dict[UUID, str]:
    current = Room.objects.for_tenant(current_tenant()).current()
    wanted = dict(current.filter(id__in=list(room_ids)).values_list("id", "name"))
    same = current.filter(name__in=set(wanted.values())).order_by().values_list("name")
    several = set(same.annotate(rooms=Count("id")).filter(rooms__gt=1).values_list("name", flat=True))
    return {key: name for key, name in wanted.items() if name not in several}


def _of_operator() -> bool:
    return Tenant.objects.filter(id=current_tenant(), kind=Tenant.Kind.OPERATOR).exists()


def say_unseen(form: Form, name: str, number: int) -> None:
    if number:
        field = form.fields[name]
        field.help_text = f"{field.help_text} And {number} more, not shown here, that stay.".strip()


class PlaceNames:
    """Names of the places that scopes of one page mention, read in two queries."""

    def __init__(self, scopes: Iterable[Scope]) -> None:
        places = {(kind, UUID(str(key))) for scope in scopes for kind, key in scope}
        tenant_id = current_tenant()
        self._names: dict[tuple[str, UUID], str] = {}
        for kind, model in (("group", RoomGroup), ("room", Room)):
            keys = [key for of, key in places if of == kind]
            if keys:
                rows = model.objects.for_tenant(tenant_id).filter(id__in=keys)
                self._names |= {(kind, key): name for key, name in rows.values_list("id", "name")}

    def one(self, kind: str, key: UUID | str | None) -> str:
        if key is None:
            return "all rooms"
        return self._names.get((kind, UUID(str(key))), f"a {kind} that is gone")

    def text(self, everywhere: bool, scope: Scope) -> str:
        """ "All rooms", or up to three names and how many more."""
        if everywhere:
            return "All rooms"
        names = sorted(self.one(kind, key) for kind, key in scope)
        more = len(names) - 3
        return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
