"""/signal-settings: what counts for each signal, in all rooms or those of a group, and where each value comes from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import room_groups
from foundation import clock
from foundation.errors import NotFound, NotValid
from incidents import signal_settings
from incidents.severity import Severity
from incidents.signal_values import EffectiveSignal, Origin
from portal.api.fields import Flag, Input, Whole, Word
from portal.api.incidents import SEVERITIES
from portal.api.resources import Parameter, Resource

LONGEST_S = int(signal_settings.LONGEST_WATCH.total_seconds())
ORIGINS = [(each.value, each.value) for each in Origin]
GROUP = Parameter("Values in the rooms of this group; left out: of all rooms.", required=False, format="uuid")


class SignalSettingSerializer(serializers.Serializer[EffectiveSignal]):
    signal = serializers.CharField(source="rule.key")
    name = serializers.CharField(source="rule.name")
    category = serializers.CharField(source="rule.category.value")
    platforms = serializers.SerializerMethodField(help_text="win, bar, con, pan.")
    enabled = serializers.BooleanField()
    enabled_from = serializers.ChoiceField(choices=ORIGINS)
    severity = serializers.SerializerMethodField()
    severity_from = serializers.ChoiceField(choices=ORIGINS)
    watch_s = serializers.SerializerMethodField(help_text="Unhealthy that long before a ticket opens.")
    watch_from = serializers.ChoiceField(choices=ORIGINS)
    watch_default_s = serializers.SerializerMethodField()
    recover_s = serializers.SerializerMethodField(help_text="Healthy that long before it is resolved.")
    recover_from = serializers.ChoiceField(choices=ORIGINS)
    poll_s = serializers.SerializerMethodField(help_text="How often a device evaluates it.")

    def get_platforms(self, signal: EffectiveSignal) -> list[str]:
        return sorted(signal.rule.platforms)

    def get_severity(self, signal: EffectiveSignal) -> str:
        return signal.severity.name.lower()

    def get_watch_s(self, signal: EffectiveSignal) -> int:
        return _seconds(signal.watch)

    def get_watch_default_s(self, signal: EffectiveSignal) -> int:
        return _seconds(signal.rule.watch)

    def get_recover_s(self, signal: EffectiveSignal) -> int:
        return _seconds(signal.recover)

    def get_poll_s(self, signal: EffectiveSignal) -> int:
        return _seconds(signal.rule.poll)


class SignalSettingListSerializer(serializers.Serializer[Any]):
    results = SignalSettingSerializer(many=True)


class SignalSettingInput(Input):
    enabled = Flag(required=False, allow_null=True, help_text="Null goes back to what counts without it.")
    severity = Word(required=False, allow_null=True, choices=[(name, name) for name in SEVERITIES])
    watch_s = Whole(required=False, allow_null=True, min_value=0, max_value=LONGEST_S)
    recover_s = Whole(required=False, allow_null=True, min_value=0, max_value=LONGEST_S)


class _OfGroup(Resource):
    def group_id(self) -> UUID | None:
        """Of the group the address names. Raises NotValid."""
        named = self.request.query_params.get("group")
        if named is None:
            return None
        try:
            return room_groups.group(UUID(named)).id
        except (ValueError, NotFound):
            raise NotValid("There is no such group.", field="group") from None


class SignalSettings(_OfGroup):
    permissions: ClassVar = {"GET": "settings.view"}
    serializer_class = SignalSettingListSerializer
    parameters: ClassVar = {"GET": {"group": GROUP}}
    operation_ids: ClassVar = {"GET": "signal_settings_list"}

    def get(self, request: Request) -> Response:
        """All signals that are judged, in the order of the reference."""
        group_id = self.group_id()
        values = signal_settings.effective(self.tenant_id)
        if group_id is None:
            return self.shown({"results": list(values)})
        return self.shown({"results": [values.in_group(each.rule.key, group_id) for each in values]})


class SignalSettingDetail(_OfGroup):
    permissions: ClassVar = {
        "GET": "settings.view",
        "PATCH": "settings.signals",
        "DELETE": "settings.signals",
    }
    serializer_class = SignalSettingSerializer
    inputs: ClassVar = {"PATCH": SignalSettingInput}
    answers: ClassVar = {"DELETE": (200, SignalSettingSerializer)}
    field_names: ClassVar = {"watch": "watch_s", "recover": "recover_s"}
    parameters: ClassVar = {method: {"group": GROUP} for method in ("GET", "PATCH", "DELETE")}

    def get(self, request: Request, signal: str) -> Response:
        """One signal."""
        return self.shown(self._known(signal, self.group_id()))

    def patch(self, request: Request, signal: str) -> Response:
        """Set some values for all rooms or those of a group. Turning a signal off closes its open tickets for good."""
        group_id = self.group_id()
        self._known(signal, group_id)
        values = self.given()
        for name, plain in (("watch", "watch_s"), ("recover", "recover_s")):
            if plain in values:
                seconds = values.pop(plain)
                values[name] = None if seconds is None else timedelta(seconds=seconds)
        if values.get("severity") is not None:
            values["severity"] = Severity[values["severity"].upper()]
        changed = signal_settings.change(self.tenant_id, signal, values, at=clock.now(), group_id=group_id)
        return self.shown(changed)

    def delete(self, request: Request, signal: str) -> Response:
        """All values back to what counts without them: the default, or for a group what all rooms have."""
        group_id = self.group_id()
        self._known(signal, group_id)
        return self.shown(signal_settings.reset(self.tenant_id, signal, at=clock.now(), group_id=group_id))

    def _known(self, signal: str, group_id: UUID | None) -> EffectiveSignal:
        values = signal_settings.effective(self.tenant_id)
        found = values.of(signal) if group_id is None else values.in_group(signal, group_id)
        if found is None:
            raise NotFound("There is no such signal.")
        return found


def _seconds(length: timedelta) -> int:
    return int(length.total_seconds())
