"""What a cell may hold: text that no spreadsheet takes for a formula."""

from __future__ import annotations

from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")  # a cell that begins so may be run when the file is opened


def plain(value: Any) -> str:
    """One value as text. Truth values are yes and no."""
    if value is None:
        return ""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def cell(value: Any) -> str:
    """One value as text of a CSV file: behind an apostrophe where a spreadsheet would take it for a formula."""
    text = plain(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def unguarded(text: str) -> str:
    """What `cell` was given, so that a table we wrote can be read back."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text
