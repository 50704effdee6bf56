"""/bulk-edits: one change for many rooms, looked at before and undone after."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import bulk_edit, inventory, lists, validation
from fleet.models import BulkEdit, BulkEditRoom, Room
from foundation import clock
from foundation.errors import NotValid
from portal.api.fields import Id, Input, Text, Whole, Word
from portal.api.filters import Filters, any_of
from portal.api.resources import Resource
from portal.api.saved_views import checked
from portal.web.bulk_edits import check_groups

NAMES = {"place": "site", "place_id": "site"}


class ChangesSerializer(serializers.Serializer[dict[str, Any]]):
    room_type = serializers.ChoiceField(required=False, choices=[("", ""), *Room.Type.choices])
    capacity = serializers.IntegerField(required=False, allow_null=True)
    licence = serializers.ChoiceField(required=False, choices=[("", ""), *Room.Licence.choices])
    labels = serializers.ListField(required=False, child=serializers.CharField())
    add_labels = serializers.ListField(required=False, child=serializers.CharField())
    remove_labels = serializers.ListField(required=False, child=serializers.CharField())
    time_zone = serializers.CharField(required=False)
    site = serializers.UUIDField(source="place_id", required=False)
    add_groups = serializers.ListField(required=False, child=serializers.UUIDField())
    remove_groups = serializers.ListField(required=False, child=serializers.UUIDField())

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """What changes, and nothing of what stays."""
        values: dict[str, Any] = dict(instance)
        if "place_id" in values:
            values["site"] = values.pop("place_id")
        return values


class BulkEditSerializer(serializers.Serializer[BulkEdit]):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=BulkEdit.State.choices)
    selected = serializers.CharField(help_text="How its rooms were chosen.")
    rooms = serializers.IntegerField()
    changes = ChangesSerializer()
    changed = serializers.IntegerField()
    refused = serializers.IntegerField(help_text="Rooms that could not take the change.")
    restored = serializers.IntegerField(help_text="Rooms put back by undoing.")
    kept = serializers.IntegerField(help_text="Rooms not wholly put back: somebody changed them since.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class BulkEditRoomSerializer(serializers.Serializer[BulkEditRoom]):
    room = serializers.UUIDField(source="room_id")
    room_name = serializers.CharField(source="room.name")
    outcome = serializers.ChoiceField(choices=BulkEditRoom.Outcome.choices)
    before = ChangesSerializer()
    after = ChangesSerializer()
    note = serializers.CharField(help_text="Why it could not be changed or restored.")


class ChangesInput(Input):
    room_type = Word(required=False, allow_blank=True, choices=Room.Type.choices)
    capacity = Whole(required=False, allow_null=True, min_value=0, max_value=inventory.MOST_SEATS)
    licence = Word(required=False, allow_blank=True, choices=Room.Licence.choices)
    add_labels = serializers.ListField(
        required=False, child=Text(max_length=validation.LONGEST_LABEL), max_length=validation.MOST_LABELS
    )
    remove_labels = serializers.ListField(
        required=False, child=Text(max_length=validation.LONGEST_LABEL), max_length=validation.MOST_LABELS
    )
    time_zone = Text(required=False, max_length=64, help_text="IANA name.")
    site = Id(required=False)
    add_groups = serializers.ListField(required=False, child=Id(), max_length=bulk_edit.GROUPS_AT_ONCE)
    remove_groups = serializers.ListField(required=False, child=Id(), max_length=bulk_edit.GROUPS_AT_ONCE)


class BulkEditInput(Input):
    rooms = serializers.ListField(required=False, child=Id(), min_length=1, max_length=1_000)
    filter = serializers.DictField(
        required=False,
        child=serializers.ListField(child=Text(max_length=lists.LONGEST_VALUE), max_length=lists.MOST_VALUES),
        help_text="Values by filter of the list of rooms, instead of naming rooms; {} is all of them.",
    )
    changes = ChangesInput()


class BulkEditFilters(Filters):
    state = any_of(BulkEdit.State.choices)


class OutcomeFilters(Filters):
    outcome = any_of(BulkEditRoom.Outcome.choices)


class BulkEdits(Resource):
    permissions: ClassVar = {"GET": "rooms.modify", "POST": "rooms.modify"}
    serializer_class = BulkEditSerializer
    filterset_class = BulkEditFilters
    inputs: ClassVar = {"POST": BulkEditInput}
    field_names: ClassVar = NAMES
    order_by = ("-created_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Edits of many rooms, newest first."""
        return self.list_of(bulk_edit.edits_for(self.principal.person))

    def post(self, request: Request) -> Response:
        """Draft an edit of rooms named, or of all that a filter shows (10,000 at most). Nothing changes yet."""
        values = self.given()
        if ("rooms" in values) == ("filter" in values):
            raise NotValid("Give either rooms or a filter.", field="rooms")
        query = checked("rooms", values["filter"], named="filter") if "filter" in values else None
        changes = dict(values["changes"])
        if "site" in changes:
            changes["place_id"] = changes.pop("site")
        check_groups(self.principal, changes)
        return self.once(request, lambda: self._draft(values.get("rooms"), query, changes))

    def _draft(
        self, rooms: list[UUID] | None, query: dict[str, list[str]] | None, changes: dict[str, Any]
    ) -> Response:
        at = clock.now()
        selected = "Named by a program" if rooms is not None else "All that a program's filter shows"
        edit = bulk_edit.draft(
            room_ids=rooms, query=query, selected=selected, by=self.principal.person, at=at
        )
        return self.shown(bulk_edit.set_changes(edit.id, changes, at=at))


class BulkEditDetail(Resource):
    permissions: ClassVar = {"GET": "rooms.modify"}
    serializer_class = BulkEditSerializer

    def get(self, request: Request, edit_id: UUID) -> Response:
        """One edit and how far it is."""
        return self.shown(bulk_edit.edit_of(edit_id, person=self.principal.person))


class BulkEditRooms(Resource):
    permissions: ClassVar = {"GET": "rooms.modify"}
    serializer_class = BulkEditRoomSerializer
    filterset_class = OutcomeFilters
    order_by = ("id",)
    pages = True

    def get(self, request: Request, edit_id: UUID) -> Response:
        """What it did to each room; of a draft, nothing yet."""
        edit = bulk_edit.edit_of(edit_id, person=self.principal.person)
        rows = BulkEditRoom.objects.for_tenant(self.tenant_id)
        return self.list_of(rows.filter(edit=edit), show=rows.select_related("room"))


class BulkEditStart(Resource):
    permissions: ClassVar = {"POST": "rooms.modify"}
    serializer_class = BulkEditSerializer
    answers: ClassVar = {"POST": (200, BulkEditSerializer)}

    def post(self, request: Request, edit_id: UUID) -> Response:
        """Carry a draft out. It goes on by itself; ask for it to see how far it is."""
        edit = bulk_edit.edit_of(edit_id, person=self.principal.person)
        check_groups(self.principal, edit.changes)
        return self.once(request, lambda: self.shown(bulk_edit.start(edit.id, at=clock.now())))


class BulkEditUndo(Resource):
    permissions: ClassVar = {"POST": "rooms.modify"}
    serializer_class = BulkEditSerializer
    answers: ClassVar = {"POST": (200, BulkEditSerializer)}

    def post(self, request: Request, edit_id: UUID) -> Response:
        """Restore what it changed, but for what was changed since."""
        edit = bulk_edit.edit_of(edit_id, person=self.principal.person)
        return self.once(request, lambda: self.shown(bulk_edit.undo(edit.id, at=clock.now())))
