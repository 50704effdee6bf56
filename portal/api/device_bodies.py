"""What devices post, and what they are answered: the device contract in words of the schema."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from enrollment import signatures
from fleet.models import Device
from portal.api.fields import Id, Text, Word

MOST_MACS = 64
LONG = 250  # a text a device tells; what is longer than its place is cut


class Optional(Text):
    """A text that may be missing, null or empty, which are the same."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", LONG)
        super().__init__(required=False, allow_null=True, allow_blank=True, **kwargs)


class Base64Url(Optional):
    """Bytes of a fixed length in base64url without padding."""

    default_error_messages = {"length": "This is not {length} bytes in base64url without padding."}

    def __init__(self, *, length: int, **kwargs: Any) -> None:
        super().__init__(max_length=200, **kwargs)
        self.length = length

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if text and signatures.decoded(text, self.length) is None:
            self.fail("length", length=self.length)
        return text


class AgentBody(serializers.Serializer[Any]):
    name = Optional()
    version = Optional()


class HardwareBody(serializers.Serializer[Any]):
    make = Text(max_length=LONG)
    model = Text(max_length=LONG)
    serial = Optional()
    firmware_uuid = Optional()
    macs = serializers.ListField(
        required=False, allow_null=True, child=Text(allow_blank=True, max_length=64), max_length=MOST_MACS
    )


class RoomBody(serializers.Serializer[Any]):
    name = Optional(
        max_length=120, help_text="A room of this name is found or made, if the key approves by itself."
    )
    resource_account = Optional(max_length=254)


class EnrollmentBody(serializers.Serializer[Any]):
    """Members nobody knows yet are signed with the rest and otherwise ignored."""

    nonce = Text(max_length=200, help_text="Of POST /device/v1/enroll/challenge.")
    public_key = Base64Url(
        length=signatures.PUBLIC_KEY_BYTES, help_text="Ed25519, raw; left out by simple clients."
    )
    signature = Base64Url(
        length=signatures.SIGNATURE_BYTES,
        help_text="Ed25519 over the lines `greenroom-enroll-v1`, nonce, id of the key, SHA-256 (hex) of this body "
        "without `signature` as canonical JSON (RFC 8785), joined by LF.",
    )
    agent = AgentBody(required=False, allow_null=True)
    platform = Word(choices=Device.Platform.choices)
    kind = Word(choices=Device.Kind.choices)
    hardware = HardwareBody()
    room = RoomBody(required=False, allow_null=True)


class RotationBody(serializers.Serializer[Any]):
    nonce = Text(max_length=200, help_text="`rotate` of the latest heartbeat reply.")
    signature = Base64Url(
        length=signatures.SIGNATURE_BYTES,
        help_text="Over the lines `greenroom-rotate-v1`, nonce, device id; left out by simple clients.",
    )


class RecoveryBody(serializers.Serializer[Any]):
    device_id = Id()
    nonce = Text(max_length=200, help_text="Of POST /device/v1/enroll/challenge.")
    signature = Base64Url(
        length=signatures.SIGNATURE_BYTES,
        help_text="Over the lines `greenroom-recover-v1`, nonce, device id.",
    )


class PeripheralBody(serializers.Serializer[Any]):
    kind = serializers.CharField(
        help_text="camera, content_camera, microphone, speaker, speakerphone, display … or any other word."
    )
    make = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    vendor_id = serializers.CharField(required=False, help_text="USB, hexadecimal.")
    product_id = serializers.CharField(required=False, help_text="USB, hexadecimal.")
    serial = serializers.CharField(required=False)
    firmware = serializers.CharField(required=False)
    connected = serializers.BooleanField(default=True)


class DisplayBody(serializers.Serializer[Any]):
    connector = serializers.CharField(required=False)
    make = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    serial = serializers.CharField(required=False)
    built_in = serializers.BooleanField(default=False)


class InventoryBody(serializers.Serializer[Any]):
    """The whole state of the machine; further members are kept as they are. A list left out tells nothing."""

    peripherals = PeripheralBody(many=True, required=False)
    displays = DisplayBody(many=True, required=False)
    network = serializers.JSONField(required=False)


class ChallengeAnswer(serializers.Serializer[Any]):
    nonce = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds.")


class EnrollmentAnswer(serializers.Serializer[Any]):
    device_id = serializers.UUIDField()
    token = serializers.CharField(help_text="Shown once.")
    expires_at = serializers.DateTimeField()
    status = serializers.ChoiceField(
        choices=["onboarding", "enrolled", "pending"], help_text="pending: a person has to look at it first."
    )
    heartbeat_interval_s = serializers.IntegerField()
    heartbeat_url = serializers.URLField()


class TokenAnswer(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="Shown once.")
    expires_at = serializers.DateTimeField()
