"""Heartbeats on the web port, for installations with one address and for the documentation.

The ingest process serves the same endpoint without SQL (portal.api.heartbeat_ingest); a test holds both to the
same answers.
"""

from __future__ import annotations

import random
import time
from functools import lru_cache
from typing import Any, cast

import msgspec
import redis
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from enrollment import nonces
from enrollment.credentials import Holder
from fleet import heartbeat_format, stream
from fleet.heartbeat_reading import BadBody, BodyTooLarge
from foundation import clock
from portal.api import heartbeat_answers as answers
from portal.api.device_access import DeviceView, answered
from portal.api.heartbeat_answers import Answer
from portal.api.heartbeat_limits import Allowance
from portal.api.schema import PROBLEM, ProblemSerializer

SPREAD = 0.2  # of the interval, both ways
PATIENCE_S = 0.8
_allowances: dict[int, Allowance] = {}
_spread = random.Random()  # noqa: S311 - spreads requests over time, no secret


class Accepted(serializers.Serializer[Any]):
    """What a device hears. `rotate`, `inventory_wanted` and `expected` are there only when they say something."""

    epoch = serializers.CharField()
    committed = serializers.IntegerField(
        allow_null=True, help_text="Up to here everything is stored for good; null: delete nothing."
    )
    server_time = serializers.DateTimeField()
    next_in = serializers.FloatField(help_text="Seconds until the next heartbeat.")
    operations = serializers.IntegerField(help_text="How many wait for this device.")
    rotate = serializers.CharField(required=False, help_text="Nonce for POST /device/v1/token/rotate.")
    inventory_wanted = serializers.BooleanField(required=False)
    expected = serializers.DictField(required=False, help_text="Equipment that must be there, by signal.")


def _schema_of(form: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON schema of a form, with inner forms where they are used."""
    schema, parts = msgspec.json.schema_components([form], ref_template="{name}")

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return (
                resolved(parts[value["$ref"]])
                if "$ref" in value
                else {k: resolved(v) for k, v in value.items()}
            )
        return [resolved(each) for each in value] if isinstance(value, list) else value

    whole: dict[str, Any] = resolved(schema[0])
    return whole


class Heartbeats(DeviceView):
    """Heartbeats of a device, at most 500 at once. 202: they are on their way; `committed` says what is stored for good.

    The body may be compressed with gzip. A device keeps what is not yet `committed` and sends it again.
    """

    @extend_schema(
        operation_id="device_heartbeats",
        tags=["device"],
        request={"application/json": _schema_of(heartbeat_format.Request)},
        responses={
            202: Accepted,
            **{
                (status, PROBLEM): OpenApiResponse(ProblemSerializer, description)
                for status, description in {
                    "400": "The body is not valid; `errors` names the member at fault.",
                    "401": "The token is wrong, expired or revoked (`code`).",
                    "413": "More than 512,000 bytes, or 64,000 compressed.",
                    "415": "A Content-Encoding other than gzip.",
                    "429": "More than one request every 2 seconds after a burst of 30.",
                    "503": "A part of the service is away; nothing is lost by waiting.",
                }.items()
            },
        },
    )
    def post(self, request: Request) -> HttpResponse:
        try:
            return answered(_accept(request._request, cast(Holder, request.user)))
        except BadBody as error:
            return answered(answers.bad_body(error))
        except redis.RedisError:
            return answered(answers.unavailable())


def _accept(request: HttpRequest, holder: Holder) -> Answer:
    if wait_s := _allowances.setdefault(holder.device_key, Allowance()).take(time.monotonic()):
        return answers.too_often(wait_s)
    encoding = request.headers.get("Content-Encoding", "")
    if encoding and encoding.lower() not in ("gzip", "identity"):
        return answers.unknown_encoding(encoding)
    body = _body(request)
    if encoding.lower() == "gzip":
        body = heartbeat_format.unpack(body)
    read = heartbeat_format.decode(body)

    client, shard, at = _client(), stream.shard_of(holder.placement), clock.now()
    if stream.length(client, shard) >= settings.STREAM_LIMIT:
        return answers.unavailable()
    sent_by = stream.sender(holder.tenant_id, holder.device_id, holder.device_key)
    stream.add(client, shard, [stream.payload(sent_by, int(at.timestamp() * 1000), body)])
    reply = stream.reply_lines(client, shard, holder.device_key)
    next_in_s = holder.interval_s * _spread.uniform(1 - SPREAD, 1 + SPREAD)
    rotate = nonces.make("rotate", holder.public_id, at=at) if at >= holder.rotate_from else ""
    epoch = msgspec.json.encode(read.epoch)
    return answers.accepted(epoch, reply, answers.TimeText()(at.timestamp()), next_in_s, rotate)


def _body(request: HttpRequest) -> bytes:
    """The body as sent, never more of it than may be. Raises BodyTooLarge."""
    limit = heartbeat_format.MAX_BYTES
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise BodyTooLarge(limit)
    body: bytes = request.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge(limit)
    return body


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return stream.connect(patience_s=PATIENCE_S)
