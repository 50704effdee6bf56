"""Faults injected for a drill: kept in a file of the home, so that a running agent takes them up.

A drill's fault is an instance of its own, `drill`, beside the real ones, unless one is named: no drill
hides the real state, and no healed drill makes an unknown camera a healthy one.
"""

import json
import logging
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agent.errors import AgentError
from agent.home import write_json
from agent.signals import KEYS, Reported, Signals

OWN_INSTANCE = "drill"
INJECTED, OVER = "injected for a drill", "the drill is over (injected for a drill)"
_REMEMBERED_S = 8 * 86400.0  # longer than a resolved incident may still be reopened

log = logging.getLogger("agent")


@dataclass(frozen=True, slots=True)
class Fault:
    signal: str
    instance: str = OWN_INSTANCE
    active: bool = True
    changed_at: float = 0.0  # wall clock
    of_run: bool = False  # given to `run`, and over when the next run does not give it again

    @property
    def name(self) -> str:
        return f"{self.signal}:{self.instance}"


def parse_fault(text: str) -> Fault:
    """`camera_room` or `camera_room:1`. Raises AgentError for a signal this agent does not report."""
    signal, _, instance = text.partition(":")
    if signal not in KEYS:
        raise AgentError(f"{signal!r} is not a signal of this agent; it knows {', '.join(KEYS)}")
    if instance and not re.fullmatch(r"[\w.-]{1,40}", instance):
        raise AgentError(f"{instance!r} is not an instance")
    return Fault(signal, instance or OWN_INSTANCE)


def load_faults(home: Path) -> list[Fault]:
    """Those that are on and those lately over. Raises AgentError if the file makes no sense."""
    path = home / "faults"
    try:
        found = [_checked(each) for each in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, AgentError) as error:
        raise AgentError(f"cannot read {path}: {error}; adding or clearing a fault begins it anew") from None
    return [each for each in found if each.active or time.time() - each.changed_at < _REMEMBERED_S]


def set_fault(home: Path, fault: Fault, *, active: bool) -> None:
    """Switch it on or off; safe to repeat. Raises AgentError if that cannot be written."""
    others = [each for each in _readable(home) if each.name != fault.name]
    _save(home, [*others, replace(fault, active=active, changed_at=time.time())])


def set_faults_of_run(home: Path, faults: list[Fault]) -> None:
    """Those given to this run are on, those of an earlier run are over, others stay as they are."""
    given = {each.name: replace(each, of_run=True, changed_at=time.time()) for each in faults}
    kept = []
    for each in _readable(home):
        if each.name in given:
            continue
        ends = each.of_run and each.active
        kept.append(replace(each, active=False, changed_at=time.time()) if ends else each)
    if kept or given:
        _save(home, [*kept, *given.values()])


def injected(real: Signals, faults: list[Fault]) -> Signals:
    """The real signals with the drill's beside or, for a named instance, in place of them."""
    result = {key: list(reported) for key, reported in real.items()}
    for fault in faults:
        reported = result.setdefault(fault.signal, [])
        there = [each.instance for each in reported]
        if fault.active:
            reported[:] = [each for each in reported if each.instance != fault.instance]
            reported.append(Reported("unhealthy", INJECTED, fault.instance))
        elif fault.instance not in there:
            reported.append(Reported("healthy", OVER, fault.instance))
    return result


def _readable(home: Path) -> list[Fault]:
    try:
        return load_faults(home)
    except AgentError as error:
        log.warning("%s", error)
        return []


def _checked(found: Any) -> Fault:
    fault = Fault(**found)
    parse_fault(fault.name)
    return replace(fault, active=bool(fault.active), changed_at=float(fault.changed_at))


def _save(home: Path, faults: list[Fault]) -> None:
    try:
        write_json(home / "faults", [asdict(each) for each in faults])
    except OSError as error:
        raise AgentError(f"cannot write {home / 'faults'}: {error}") from None
