"""The form of a rule and the table of all of them, by the key of their signal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from incidents.facts import PLATFORMS, DeviceFacts, Finding
from incidents.severity import Severity


class Category(StrEnum):
    """Where pages list a signal."""

    RECORDED = "recorded"
    ACCOUNT = "account"
    OS_APP = "os_app"
    CONFIG = "config"
    HARDWARE = "hardware"
    DISPLAY = "display"
    SECURITY = "security"
    CONNECTIVITY = "connectivity"
    OUTAGE = "outage"


class ReportCategory(StrEnum):
    """Where reports count its tickets."""

    AUDIO = "Audio"
    DISPLAY = "Display"
    PERIPHERALS = "Peripherals"
    CONNECTIVITY = "Connectivity"
    VERSIONING = "Versioning"
    RECORDED = "Recorded issues"


class BotFirst(StrEnum):
    """What Greenroom tries by itself before a person is asked."""

    NOTHING = "nothing"
    COLLECT_LOGS = "collect_logs"
    OFFER_CATCH_UP = "offer_catch_up"
    RESET_COMPONENTS = "reset_components"
    REPAIR_APP = "repair_app"
    RESET_USB = "reset_usb"
    CLEAN_UP = "clean_up"
    PROBE_ENDPOINTS = "probe_endpoints"


class Source(StrEnum):
    """Who says that a component is at fault."""

    DEVICE = "device"  # it reports the signal
    DERIVED = "derived"  # we judge it from what we know; a device that reports the key is not believed
    RAISED = "raised"  # a person, an update or a common cause opens the ticket; nothing is judged


Judge = Callable[[DeviceFacts], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """How one signal is judged, with the defaults a customer may change.

    `name` is the ticket's type; `component` names what is watched, for a list in which all may be well.
    `severity` None: a ticket of it is as severe as the worst fault under it. `poll`: how often the agent evaluates
    the signal. `watch`: how long it must stay unhealthy before a ticket opens; `makers_watch`: the same in the
    product we rebuild, where ours differs (docs/signals.md). `recover`: how long it must be healthy before the
    ticket is resolved. `platforms`: where the signal is expected, and for a derived one where it is judged at all.
    `held_by`: signals that explain this one while they are at fault. `replaced_by`: the signal that is judged
    instead on a device that reports it. `optional`: off until a customer turns it on.
    """

    key: str
    name: str
    component: str
    severity: Severity | None
    poll: timedelta
    watch: timedelta
    category: Category
    report_category: ReportCategory
    platforms: frozenset[str]
    advice: str
    judge: Judge
    source: Source = Source.DEVICE
    makers_watch: timedelta | None = None
    recover: timedelta = timedelta(0)
    bot_first: BotFirst = BotFirst.NOTHING
    held_by: tuple[str, ...] = ()
    replaced_by: str = ""
    optional: bool = False

    @property
    def derived(self) -> bool:
        return self.source is Source.DERIVED

    @property
    def raised(self) -> bool:
        return self.source is Source.RAISED

    def findings(self, facts: DeviceFacts) -> Iterator[Finding]:
        """One for each component at fault, none where all is well."""
        if not self.applies_to(facts.kind):
            return
        if self.replaced_by and facts.reports(self.replaced_by):
            return
        yield from self.judge(facts)

    def applies_to(self, kind: str) -> bool:
        """What a device reports of itself counts on every platform: whoever reports a component has it."""
        return not self.derived or PLATFORMS.get(kind) in self.platforms


RULES: dict[str, Rule] = {}


def rule(
    key: str,
    *,
    name: str,
    component: str,
    severity: Severity | None,
    poll_min: int,
    watch_min: int,
    category: Category,
    report_category: ReportCategory,
    platforms: str,
    advice: str,
    our_watch_s: int | None = None,
    recover_s: int = 0,
    **more: Any,
) -> Callable[[Judge], Rule]:
    """Register the function below as the rule of `key`. `poll_min`, `watch_min`: as in the signal table;
    `our_watch_s`: our own default. `platforms`: as in the signal table, space separated."""

    def register(judge: Judge) -> Rule:
        if key in RULES:
            raise ValueError(f"Two rules for {key}")
        makers = timedelta(minutes=watch_min)
        RULES[key] = Rule(
            key=key,
            name=name,
            component=component,
            severity=severity,
            poll=timedelta(minutes=poll_min),
            watch=makers if our_watch_s is None else timedelta(seconds=our_watch_s),
            makers_watch=None if our_watch_s is None else makers,
            recover=timedelta(seconds=recover_s),
            category=category,
            report_category=report_category,
            platforms=frozenset(platforms.split()),
            advice=advice,
            judge=judge,
            **more,
        )
        return RULES[key]

    return register


def reported(key: str, summary: str, **values: Any) -> Rule:
    """The rule of a signal a device reports: what it calls unhealthy is a finding, one for each instance."""
    return rule(key, **values)(lambda facts: facts.reported(key, summary))


def raised(key: str, **values: Any) -> Rule:
    """The type of tickets nobody judges from telemetry: people, updates or a common cause open them."""
    return rule(key, source=Source.RAISED, poll_min=0, watch_min=0, **values)(lambda facts: ())


def signals_of(category: ReportCategory) -> list[str]:
    """The keys reports count under a category."""
    return [key for key, rule in RULES.items() if rule.report_category is category]
