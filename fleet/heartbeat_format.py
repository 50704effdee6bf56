"""What a device posts: one request with its items, decoded and checked (device contract v1)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

State = Literal["healthy", "unhealthy", "unknown"]


class Signal(Struct, frozen=True):
    """One instance of a signal in its long form."""

    state: State
    instance: Annotated[str, Meta(max_length=64)] = ""
    detail: Annotated[str, Meta(max_length=300)] = ""


class Item(Struct, frozen=True):
    """One heartbeat. Members we do not know stay in the raw document only."""

    seq: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    signals: dict[str, State | Signal | list[Signal]]
    t_wall: str | None = None
    t_mono: float | None = None
    versions: dict[str, str] = {}
    metrics: dict[str, float] = {}
    usage: dict[str, bool | int | float | str | None] = {}
    inventory_digest: str = ""


class Envelope(Struct, frozen=True, rename={"from_seq": "from"}):
    """An accepted request with its items as they came."""

    epoch: str
    items: list[Raw]
    from_seq: int | None = None
    sent_mono: float | None = None


stored = msgspec.json.Decoder(Envelope).decode
item = msgspec.json.Decoder(Item).decode
