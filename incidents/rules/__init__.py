"""One literal entry per signal key; importing this package registers them all."""

from incidents.rules import connectivity, display, hardware, system
from incidents.rules.registry import RULES, Category, ReportCategory, Rule, rule

__all__ = [
    "RULES",
    "Category",
    "ReportCategory",
    "Rule",
    "connectivity",
    "display",
    "hardware",
    "rule",
    "system",
]
