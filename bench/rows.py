"""One line of the table of figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A figure against its peer. `ratio` and `target` are of the same kind; `holds` is None without a target."""

    figure: str
    ours: str
    peer: str
    ratio: float | None
    target: str
    holds: bool | None = None
