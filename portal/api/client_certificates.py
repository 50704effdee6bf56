"""What a proxy in front says of a device's certificate. It alone may: from anybody else the headers count for nothing."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

CONTROLLER, AUTHORITY = "X-Controller-Id", "X-Authority"
NUMBERED = range(10)  # X-Authority-0 and on, where the chain does not fit one header


@dataclass(frozen=True)
class Shown:
    """`issuers`: fingerprints of the certificate's chain."""

    controller_id: str
    issuers: tuple[str, ...]

    def is_of(self, controller_id: str) -> bool:
        return hmac.compare_digest(self.controller_id.encode(), controller_id.encode())


def shown(request: HttpRequest) -> Shown | None:
    """None where no trusted proxy is in front, or it says nothing.

    A proxy says it in one of two ways. Both at once: one of them is the device's own, which the proxy let through.
    """
    controller_id = request.headers.get(CONTROLLER, "")
    if not controller_id or not _is_proxy(request.META.get("REMOTE_ADDR", "")):
        return None
    whole = request.headers.get(AUTHORITY, "")
    numbered = [request.headers.get(f"{AUTHORITY}-{number}", "") for number in NUMBERED]
    if whole and any(numbered):
        return None
    told = [whole, *numbered]
    issuers = (each.strip() for value in told for each in re.split("[,;]", value))
    return Shown(controller_id, tuple(each for each in issuers if each))


def _is_proxy(address: str) -> bool:
    try:
        where = ip_address(address)
    except ValueError:  # a socket of this machine
        return False
    where = getattr(where, "ipv4_mapped", None) or where
    return any(where in network for network in settings.GREENROOM_DDI_PROXIES)
