"""What a heartbeat says of signals, and what that changes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from fleet.heartbeat_format import Signal
from fleet.telemetry_form import NULL, bits

UNKNOWN, UNHEALTHY = "unknown", "unhealthy"
MOST_STATES = 500  # of one device: one that invents names at every heartbeat fills no table
GONE = "No longer reported"
_CACHED_BYTES = 4096

Name = tuple[str, str]  # signal, instance
Reported = Mapping[str, Any]  # a state, a Signal or a list of Signals, by signal
Known = dict[Name, tuple[str, str]]  # state, detail

_read = msgspec.json.Decoder(dict[str, str | Signal | list[Signal]]).decode


@dataclass(frozen=True, slots=True)
class Change:
    """One state or its detail is another now. `after` None: its row goes."""

    signal: str
    instance: str
    before: str
    after: str | None
    detail: str

    @property
    def is_transition(self) -> bool:
        return (self.after or UNKNOWN) != self.before


@dataclass(frozen=True, slots=True)
class Report:
    """What a heartbeat says beside its figures."""

    signals: Reported
    digest: bytes  # of signals and versions as they were sent
    bits: str  # its point's healthy and unhealthy, in the form of COPY


def read(signals: bytes, versions: bytes) -> Report:
    """Most devices say the same most of the time, so short texts are read once. Raises ValueError."""
    if len(signals) + len(versions) > _CACHED_BYTES:
        return _parse(signals, versions)
    return _kept(signals, versions)


def changes(known: Known, reported: Reported) -> Iterator[Change]:
    """What a report changes in `known`, which is brought up to date.

    A signal left out keeps its state; a list replaces all instances of its signal; an object is one instance. A bare
    word speaks for the signal as a whole: `healthy` and `unknown` are said of every instance known.
    """
    with_instances = {signal for signal, instance in known if instance}
    for signal, value in reported.items():
        if isinstance(value, str) and value != UNHEALTHY and signal in with_instances:
            instances = [name[1] for name in known if name[0] == signal]
            yield from _said_of(known, signal, instances, value)
            continue
        if isinstance(value, list) or (isinstance(value, str) and signal in with_instances):
            named = {each.instance for each in value} if isinstance(value, list) else {""}
            for name in [name for name in known if name[0] == signal and name[1] not in named]:
                before, _ = known.pop(name)
                yield Change(signal, name[1], before, None, GONE)
        for each in value if isinstance(value, list) else (value,):
            state, instance, detail = (
                (each, "", "") if isinstance(each, str) else (each.state, each.instance, each.detail)
            )
            old = known.get((signal, instance))
            if old == (state, detail) or (old is None and len(known) >= MOST_STATES):
                continue
            known[signal, instance] = state, detail
            yield Change(signal, instance, old[0] if old else UNKNOWN, state, detail)


def _said_of(known: Known, signal: str, instances: list[str], state: str) -> Iterator[Change]:
    for instance in instances:
        before = known[signal, instance]
        if before != (state, ""):
            known[signal, instance] = state, ""
            yield Change(signal, instance, before[0], state, "")


def _parse(raw: bytes, versions: bytes) -> Report:
    signals = _read(raw)
    healthy, unhealthy = bits(_states(signals))
    digest = blake2b(raw + b"\0" + versions, digest_size=16).digest()
    return Report(signals, digest, f"{healthy or NULL}\t{unhealthy or NULL}")


_kept = lru_cache(maxsize=4096)(_parse)


def _states(signals: Reported) -> Iterator[tuple[str, str]]:
    for signal, value in signals.items():
        for each in value if isinstance(value, list) else (value,):
            yield signal, each if isinstance(each, str) else each.state
