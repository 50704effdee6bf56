"""The form of a rule and the table of all of them, by the key of their signal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from incidents.facts import PLATFORMS, DeviceFacts, Finding
from incidents.severity import Severity


class Category(StrEnum):
    """Where pages list a signal."""

    ACCOUNT = "account"
    OS_APP = "os_app"
    CONFIG = "config"
    HARDWARE = "hardware"
    DISPLAY = "display"
    SECURITY = "security"
    CONNECTIVITY = "connectivity"


class ReportCategory(StrEnum):
    """Where reports count its tickets."""

    AUDIO = "Audio"
    DISPLAY = "Display"
    PERIPHERALS = "Peripherals"
    CONNECTIVITY = "Connectivity"
    VERSIONING = "Versioning"
    RECORDED = "Recorded issues"


Judge = Callable[[DeviceFacts], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """How one signal is judged, with the defaults a customer may change.

    `name` is the ticket's type; `component` names what is watched, for a list in which all may be well.
    `poll`: how often the agent evaluates the signal. `watch`: how long it must stay unhealthy before a ticket
    opens. `derived`: judged from what we know ourselves; a device that reports the key is not believed.
    `platforms`: where the signal is expected, and for a derived one where it is judged at all.
    """

    key: str
    name: str
    component: str
    severity: Severity
    poll: timedelta
    watch: timedelta
    category: Category
    report_category: ReportCategory
    platforms: frozenset[str]
    advice: str
    derived: bool
    judge: Judge

    def findings(self, facts: DeviceFacts) -> Iterator[Finding]:
        """One for each component at fault, none where all is well."""
        if self.applies_to(facts.kind):
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
    severity: Severity,
    poll: timedelta,
    watch: timedelta,
    category: Category,
    report_category: ReportCategory,
    platforms: str,
    advice: str,
    derived: bool = False,
) -> Callable[[Judge], Rule]:
    """Register the function below as the rule of `key`. `platforms`: as in the signal table, space separated."""

    def register(judge: Judge) -> Rule:
        if key in RULES:
            raise ValueError(f"Two rules for {key}")
        RULES[key] = Rule(
            key=key,
            name=name,
            component=component,
            severity=severity,
            poll=poll,
            watch=watch,
            category=category,
            report_category=report_category,
            platforms=frozenset(platforms.split()),
            advice=advice,
            derived=derived,
            judge=judge,
        )
        return RULES[key]

    return register
