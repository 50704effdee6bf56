"""/devices: what reports from the rooms. How devices themselves talk to Greenroom is portal.api.devices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from enrollment import registration
from fleet import inventory, lists, search
from fleet.models import Device, Peripheral, Room, SignalState, ThingWord
from foundation import clock
from portal.api.assessments import (
    ATTRIBUTE,
    AssessedDevices,
    AssessedPeripherals,
    AssessmentSerializer,
    assess,
)
from portal.api.fields import Id, Input
from portal.api.filters import CharFilter, Filters, RoomwiseFilters, UUIDFilter, YesNoFilter, any_of
from portal.api.resources import Resource


class DeviceSerializer(serializers.Serializer[Device]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Device.Kind.choices)
    platform = serializers.ChoiceField(choices=Device.Platform.choices)
    status = serializers.ChoiceField(choices=Device.Status.choices)
    status_since = serializers.DateTimeField()
    room = serializers.UUIDField(source="room_id", allow_null=True)
    room_name = serializers.CharField(source="room.name", default=None, allow_null=True)
    wanted_room = serializers.CharField(help_text="The room it named when it enrolled.")
    wanted_account = serializers.CharField()
    make = serializers.CharField()
    model = serializers.CharField()
    serial_number = serializers.CharField()
    security_level = serializers.IntegerField(
        help_text="1 token only, 2 key in a file, 3 key store of the system, 4 TPM."
    )
    agent_name = serializers.CharField()
    agent_version = serializers.CharField()
    versions = serializers.DictField(child=serializers.CharField())
    app_version = serializers.CharField(help_text="Of the meeting app; empty while it is not known.")
    last_seen_at = serializers.DateTimeField(allow_null=True)
    silent_since = serializers.DateTimeField(allow_null=True)
    catalogue = AssessmentSerializer(source=ATTRIBUTE, help_text="Whether it is certified, and why.")
    created_at = serializers.DateTimeField()

    class Meta:
        list_serializer_class = AssessedDevices


class SignalSerializer(serializers.Serializer[SignalState]):
    signal = serializers.CharField()
    instance = serializers.CharField()  # type: ignore[assignment]  # a declared field is no attribute
    state = serializers.ChoiceField(choices=SignalState.State.choices)
    detail = serializers.CharField()
    since = serializers.DateTimeField()


class PeripheralSerializer(serializers.Serializer[Peripheral]):
    kind = serializers.CharField()
    make = serializers.CharField()
    model = serializers.CharField()
    vendor_id = serializers.CharField()
    product_id = serializers.CharField()
    serial = serializers.CharField()
    firmware = serializers.CharField()
    connected = serializers.BooleanField()
    catalogue = AssessmentSerializer(source=ATTRIBUTE)


class PeripheralRecordSerializer(PeripheralSerializer):
    id = serializers.UUIDField()
    device = serializers.UUIDField(source="device_id")
    device_name = serializers.CharField(source="device.name")
    room = serializers.UUIDField(source="device.room_id", allow_null=True)
    room_name = serializers.CharField(source="device.room.name", default=None, allow_null=True)
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(help_text="When an inventory last named it as connected.")

    class Meta:
        list_serializer_class = AssessedPeripherals

    def to_representation(self, instance: Peripheral) -> Any:
        if not hasattr(instance, ATTRIBUTE):
            assess([], [instance])
        return super().to_representation(instance)


class DeviceDetailSerializer(DeviceSerializer):
    signals = SignalSerializer(many=True)
    peripherals = PeripheralSerializer(many=True)

    def to_representation(self, instance: Device) -> Any:
        assess([instance], instance.peripherals.all())
        return super().to_representation(instance)


class RoomOfDeviceInput(Input):
    room = Id()


class DeviceFilters(RoomwiseFilters):
    status = any_of(Device.Status.choices)
    kind = any_of(Device.Kind.choices)
    platform = any_of(Device.Platform.choices)
    serial_number = CharFilter(max_length=64)
    make = CharFilter(max_length=80)
    model = CharFilter(max_length=120)
    app_version = CharFilter(max_length=80, help_text="Of the meeting app.")
    q = CharFilter(method="with_words", max_length=200, help_text="Each word begins a word of the device.")

    def with_words(self, rows: Any, name: str, value: str) -> Any:
        return search.matching_things(rows, ThingWord.Kind.DEVICE, value)


class PeripheralFilters(Filters):
    """A peripheral's room is its device's."""

    kind = CharFilter(max_length=24)
    make = CharFilter(max_length=80)
    model = CharFilter(max_length=120)
    serial = CharFilter(max_length=64)
    firmware = CharFilter(max_length=40)
    connected = YesNoFilter(method="is_connected")
    device = UUIDFilter(field_name="device_id")
    room = UUIDFilter(field_name="device__room_id")
    site = UUIDFilter(method="asked_for", help_text="In rooms anywhere below this site.")
    group = UUIDFilter(method="asked_for", help_text="In rooms of this group.")
    q = CharFilter(method="asked_for", max_length=200, help_text="Each word begins a word of the peripheral.")

    def is_connected(self, rows: Any, name: str, value: str) -> Any:
        return rows.filter(connected=value == "true")

    def asked_for(self, rows: Any, name: str, value: Any) -> Any:
        return lists.FILTERS["peripherals"][name](rows, [str(value)])


class Devices(Resource):
    permissions: ClassVar = {"GET": "rooms.view"}
    serializer_class = DeviceSerializer
    filterset_class = DeviceFilters
    pages = True

    def get(self, request: Request) -> Response:
        """Devices by name, those waiting to be accepted among them."""
        rows = Device.objects.for_tenant(self.tenant_id).filter(retired_at=None)
        return self.list_of(rows, show=devices_of(self.tenant_id))


class Peripherals(Resource):
    permissions: ClassVar = {"GET": "rooms.view"}
    serializer_class = PeripheralRecordSerializer
    filterset_class = PeripheralFilters
    order_by = ("make", "model", "id")
    pages = True

    def get(self, request: Request) -> Response:
        """What is attached to the devices in use, by make and model."""
        rows = Peripheral.objects.for_tenant(self.tenant_id).select_related("device__room")
        shown = rows.defer("device__document", "device__inventory")
        return self.list_of(lists.filtered("peripherals", {}), show=shown)


class PeripheralDetail(Resource):
    permissions: ClassVar = {"GET": "rooms.view"}
    serializer_class = PeripheralRecordSerializer

    def get(self, request: Request, peripheral_id: UUID) -> Response:
        """One peripheral, with the device it is attached to."""
        rows = lists.filtered("peripherals", {}).select_related("device__room")
        return self.shown(self.one_of(rows, peripheral_id))


class DeviceDetail(Resource):
    permissions: ClassVar = {"GET": "rooms.view"}
    serializer_class = DeviceDetailSerializer

    def get(self, request: Request, device_id: UUID) -> Response:
        """One device with the latest state of its signals and what is attached to it."""
        return self.shown(self.one_of(detailed(self.tenant_id), device_id))


class DeviceAction(Resource):
    """Something done to one device; the answer is the device afterwards."""

    serializer_class = DeviceDetailSerializer
    answers: ClassVar = {"POST": (200, DeviceDetailSerializer)}

    def carry_out(
        self, request: Request, device_id: UUID, effect: Callable[[Device, datetime], Any]
    ) -> Response:
        def once() -> Response:
            effect(self.one_of(devices_of(self.tenant_id), device_id), clock.now())
            return self.shown(self.one_of(detailed(self.tenant_id), device_id))

        return self.once(request, once)

    def room_given(self) -> Room:
        return inventory.room(self.given()["room"], field="room")


class DeviceAccept(DeviceAction):
    permissions: ClassVar = {"POST": "rooms.modify"}
    inputs: ClassVar = {"POST": RoomOfDeviceInput}

    def post(self, request: Request, device_id: UUID) -> Response:
        """Watch a waiting device in a room from now on."""
        room = self.room_given()
        return self.carry_out(
            request, device_id, lambda device, at: registration.accept(device, room=room, at=at)
        )


class DeviceMove(DeviceAction):
    permissions: ClassVar = {"POST": "rooms.modify"}
    inputs: ClassVar = {"POST": RoomOfDeviceInput}

    def post(self, request: Request, device_id: UUID) -> Response:
        """Put an enrolled device into another room."""
        room = self.room_given()
        return self.carry_out(
            request, device_id, lambda device, at: registration.move(device, room=room, at=at)
        )


class DeviceUnenroll(DeviceAction):
    permissions: ClassVar = {"POST": "rooms.unenroll"}

    def post(self, request: Request, device_id: UUID) -> Response:
        """Stop watching a device and shut it out. With an enrollment key it may come again."""
        return self.carry_out(request, device_id, lambda device, at: registration.unenroll(device, at=at))


def devices_of(tenant_id: UUID) -> QuerySet[Device]:
    devices: QuerySet[Device] = Device.objects.for_tenant(tenant_id).select_related("room")
    return devices.defer("document", "inventory")


def detailed(tenant_id: UUID) -> QuerySet[Device]:
    return devices_of(tenant_id).prefetch_related("signals", "peripherals")
