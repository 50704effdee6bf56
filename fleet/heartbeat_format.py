"""What a device posts: one request with its heartbeats, checked strictly and cheaply (device contract v1).

Two readers agree on what is accepted. The quick one takes the usual request, whose every member we know. What it
does not take, the careful one reads (fleet.heartbeat_reading): it accepts members we do not know and names what
is wrong.
"""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from fleet import heartbeat_reading
from fleet.heartbeat_reading import BadBody, BodyTooLarge

MAX_BYTES = 512_000  # of the document
MAX_COMPRESSED_BYTES = 64_000  # of what is sent, if it is compressed
MAX_ITEMS = 500

State: TypeAlias = Literal["healthy", "unhealthy", "unknown"]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=40)]
Sequence: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Number: TypeAlias = Annotated[float, Meta(ge=-1e15, le=1e15)]
Instance: TypeAlias = Annotated[str, Meta(max_length=64)]
Detail: TypeAlias = Annotated[str, Meta(max_length=300)]
Version: TypeAlias = Annotated[str, Meta(max_length=80)]
Digest: TypeAlias = Annotated[str, Meta(max_length=80)]
Epoch: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]


class Signal(Struct, frozen=True):
    """One instance of a signal in its long form."""

    state: State
    instance: Instance = ""
    detail: Detail = ""


class Item(Struct, frozen=True):
    """One heartbeat. Members we do not know stay in the raw document only. None: the device could not tell."""

    seq: Sequence
    signals: Annotated[
        dict[Name, State | Signal | Annotated[list[Signal], Meta(max_length=64)]], Meta(max_length=200)
    ]
    t_wall: Moment | None = None
    t_mono: Number | None = None
    versions: Annotated[dict[Name, Version | None], Meta(max_length=50)] = {}
    metrics: Annotated[dict[Name, Number | None], Meta(max_length=100)] = {}
    usage: Annotated[dict[Name, Any], Meta(max_length=50)] = {}
    inventory_digest: Digest = ""


class Envelope(Struct, frozen=True, rename={"from_seq": "from"}):
    """An accepted request with its items as they came."""

    epoch: str
    items: list[Raw]
    from_seq: int | None = None
    sent_mono: float | None = None


class Request(Struct, frozen=True, rename={"from_seq": "from"}):
    """A request whose every part was checked."""

    epoch: Epoch
    items: Annotated[list[Item], Meta(min_length=1, max_length=MAX_ITEMS)]
    from_seq: Sequence | None = None
    sent_mono: Number | None = None


stored = msgspec.json.Decoder(Envelope).decode
item = msgspec.json.Decoder(Item).decode


def decode(body: bytes) -> Request | UsualRequest:
    """Check a document. Raises BadBody, which names the part at fault."""
    return usual(body) or careful(body)


def usual(body: bytes) -> UsualRequest | None:
    """The quick reader. None: ask the careful one.

    A name that stands twice leaves fewer strings than the document has quotes: writing again what was read and
    counting quotes finds it, as long as no quote is written as an escape.
    """
    if b"\\" in body and (b"\\u0000" in body or b"\\u0022" in body):
        return None
    try:
        request = _usual(body)
    except ValueError:  # msgspec's errors and those of UTF-8 are ValueErrors
        return None
    return request if _write(request).count(b'"') == body.count(b'"') else None


def careful(body: bytes) -> Request:
    """The other reader, which needs some ten times as long. Raises BadBody."""
    return heartbeat_reading.read(body, _any)


def unpack(raw: bytes) -> bytes:
    """A gzip body, unpacked up to the limit and never beyond. Raises BadBody or BodyTooLarge."""
    if len(raw) > MAX_COMPRESSED_BYTES:
        raise BodyTooLarge(MAX_COMPRESSED_BYTES)
    unpacker = zlib.decompressobj(31)
    try:
        body = unpacker.decompress(raw, MAX_BYTES + 1)
    except zlib.error:
        raise BadBody("The body is not gzip, though Content-Encoding says so.") from None
    if len(body) > MAX_BYTES:
        raise BodyTooLarge(MAX_BYTES)
    if not unpacker.eof:
        raise BadBody("The gzip body is cut off.")
    if unpacker.unused_data:
        raise BadBody("Something follows the gzip body.")
    return body


# The usual request: only members we know, so nothing nests deeper than these types do, and UNSET where a member
# is missing, so that what is written again has the members of what was read.


class _UsualSignal(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    state: State
    instance: Instance | UnsetType = UNSET
    detail: Detail | UnsetType = UNSET


_Plain: TypeAlias = bool | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float | str | None


class _UsualItem(Struct, frozen=True, forbid_unknown_fields=True):
    seq: Sequence
    signals: Annotated[
        dict[Name, State | _UsualSignal | Annotated[list[_UsualSignal], Meta(max_length=64)]],
        Meta(max_length=200),
    ]
    t_wall: Moment | UnsetType | None = UNSET
    t_mono: Number | UnsetType | None = UNSET
    versions: Annotated[dict[Name, Version | None], Meta(max_length=50)] | UnsetType = UNSET
    metrics: Annotated[dict[Name, Number | None], Meta(max_length=100)] | UnsetType = UNSET
    usage: Annotated[dict[Name, _Plain], Meta(max_length=50)] | UnsetType = UNSET
    inventory_digest: Digest | UnsetType = UNSET


class UsualRequest(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_seq": "from"}):
    epoch: Epoch
    items: Annotated[list[_UsualItem], Meta(min_length=1, max_length=MAX_ITEMS)]
    from_seq: Sequence | UnsetType | None = UNSET
    sent_mono: Number | UnsetType | None = UNSET


_usual = msgspec.json.Decoder(UsualRequest).decode
_any = msgspec.json.Decoder(Request).decode
_write = msgspec.json.Encoder().encode
