"""What the frame around every page shows: the organisation, the sections this person may open, counts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    principal = getattr(request, "principal", None)
    if principal is None:
        return {"principal": None}
    return {
        "principal": principal,
        "organisations": getattr(request, "organisations", []),
        "may": {permission.replace(".", "_"): True for permission in principal.permissions},
    }
