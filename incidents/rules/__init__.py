"""One literal entry per signal key; importing this package registers them all."""

from incidents.rules import account, audio, connectivity, display, hardware, raised, system
from incidents.rules.registry import RULES, BotFirst, Category, ReportCategory, Rule, Source, rule, signals_of

__all__ = [
    "RULES",
    "BotFirst",
    "Category",
    "ReportCategory",
    "Rule",
    "Source",
    "account",
    "audio",
    "connectivity",
    "display",
    "hardware",
    "raised",
    "rule",
    "signals_of",
    "system",
]
