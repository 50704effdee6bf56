"""Whether this process lives, whether the service can work, and figures for a monitoring system."""

from __future__ import annotations

import hmac
import time
from datetime import timedelta

import redis
from django.conf import settings
from django.db import DatabaseError, connections
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from foundation import clock
from portal.errors import problem
from portal.figures import Figure, figures

LOOPBACK = ("127.0.0.1", "::1")
PATIENCE_S = 1.0
SAID_FOR = timedelta(days=180)  # a contact that is never looked at expires (RFC 9116, at most a year)


@require_GET
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers: nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_GET
def security_txt(request: HttpRequest) -> HttpResponse:
    """Whom to tell of a weakness (RFC 9116). There is none where nobody is named."""
    if not settings.SECURITY_CONTACT:
        raise Http404
    lines = [
        f"Contact: {settings.SECURITY_CONTACT}",
        f"Expires: {clock.now() + SAID_FOR:%Y-%m-%dT00:00:00Z}",
        "Preferred-Languages: en",
        f"Canonical: {settings.GREENROOM_URL}/.well-known/security.txt",
    ]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


@require_GET
def readyz(request: HttpRequest) -> HttpResponse:
    """Database and Redis answer, and heartbeats are not piling up."""
    checks = {"database": _database(), "redis": _redis()}
    ready = all(checks.values())
    if not ready:
        return problem(503, "Not ready", code="not_ready", headers={"Retry-After": "5"}, checks=checks)
    return JsonResponse({"ready": True, "checks": checks})


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for a holder of the token, or for this machine where no token is set."""
    if not _may_read_metrics(request):
        return problem(
            401, "Not signed in", "Metrics want the bearer token.", headers={"WWW-Authenticate": "Bearer"}
        )
    lines = [line for figure in figures(at=clock.now()) for line in _exposed(figure)]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


def _exposed(figure: Figure) -> list[str]:
    labels = ",".join(f'{name}="{value}"' for name, value in figure.labels.items())
    name = f"greenroom_{figure.name}"
    return [
        f"# HELP {name} {figure.meaning}",
        f"# TYPE {name} gauge",
        f"{name}{{{labels}}} {figure.value}" if labels else f"{name} {figure.value}",
    ]


def _may_read_metrics(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        _, _, given = request.headers.get("Authorization", "").partition(" ")
        return hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode())
    return request.META.get("REMOTE_ADDR") in LOOPBACK and "X-Forwarded-For" not in request.headers


def _database() -> bool:
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _redis() -> bool:
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S
    )
    try:
        started = time.monotonic()
        return bool(client.ping()) and time.monotonic() - started < PATIENCE_S
    except redis.RedisError:
        return False
    finally:
        client.close()
