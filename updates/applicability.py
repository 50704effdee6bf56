"""Whether a release is for a device: make, model and the version it runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from updates.versions import NotAVersion, Scheme, compare

EQUIPMENT = "equipment"  # component of firmware: the version is that of attached equipment, not of the device


class Fit(StrEnum):
    """What comes of comparing. Those but OTHER concern the release and are shown with their reason."""

    FITS = "fits"
    OTHER = "other"  # another make or model: nothing to do with it
    CURRENT = "already_current"
    NEWER = "runs_newer"
    TOO_OLD = "version_too_old"  # older than what it installs upon
    TOO_NEW = "version_too_new"
    UNKNOWN = "version_unknown"  # and the release is for certain versions only


@dataclass(frozen=True)
class Offered:
    """What of a release decides whom it fits. Empty texts: any."""

    scheme: Scheme
    version: str
    make: str = ""
    model: str = ""
    runs_from: str = ""
    runs_to: str = ""


def same_model(offered: Offered, make: str, model: str) -> bool:
    """Without regard to case and spaces around."""
    return _is(offered.make, make) and _is(offered.model, model)


def fit(offered: Offered, make: str, model: str, version: str) -> Fit:
    """`version` "": the device does not tell. A version that cannot be read counts as not told."""
    if not same_model(offered, make, model):
        return Fit.OTHER
    try:
        order = compare(offered.scheme, version, offered.version)
    except NotAVersion:
        return Fit.UNKNOWN if offered.runs_from or offered.runs_to else Fit.FITS
    if order == 0:
        return Fit.CURRENT
    if order > 0:
        return Fit.NEWER
    if offered.runs_from and compare(offered.scheme, version, offered.runs_from) < 0:
        return Fit.TOO_OLD
    if offered.runs_to and compare(offered.scheme, version, offered.runs_to) > 0:
        return Fit.TOO_NEW
    return Fit.FITS


def oldest(scheme: Scheme, versions: Iterable[str]) -> str:
    """Of several pieces of equipment of one model the one furthest behind decides; "" where none tells."""
    told: list[str] = []
    for each in versions:
        try:
            compare(scheme, each, each)
        except NotAVersion:
            continue
        told.append(each)
    least = told[0] if told else ""
    for each in told[1:]:
        least = each if compare(scheme, each, least) < 0 else least
    return least


def _is(wanted: str, told: str) -> bool:
    return not wanted or wanted.strip().casefold() == told.strip().casefold()
