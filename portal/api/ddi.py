"""The update clients' side: what devices that speak Direct Device Integration are told, and what they tell.

Plain views: a poll that brings nothing new is answered from Redis alone (updates.polls). No session, no redirect, no
page under these addresses; writes answer 200 with an empty body, which some clients insist on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import ParseError

from enrollment import credentials, issuers, keys, nonces, registration
from enrollment.hardware import described
from enrollment.models import EnrollmentKey
from enrollment.registration import Application
from fleet.errors import Missing
from fleet.models import Device
from foundation import clock
from foundation.context import tenant
from foundation.errors import Conflict, DomainError, NotFound, NotValid
from portal.api import client_certificates, failed_attempts
from portal.api.artifacts import deliver
from portal.api.parsers import strict_json
from portal.errors import problem, unavailable
from portal.middleware.tenants import client_address
from tenancy import audit
from tenancy.audit import Actor
from tenancy.models import Tenant
from tenancy.tenants import by_number
from updates import artifact_links, artifacts, attempts, clients, ddi, device_offers, polls, releases
from updates.errors import AttemptEnded, QuotaReached
from updates.models import Artifact, Attempt, Release, UpdateClient
from updates.states import AttemptState

log = logging.getLogger(__name__)
TARGET, GATEWAY = "TargetToken ", "GatewayToken "
ANY_TENANT = "default"  # the token says whose device it is
HAL, JSON, CBOR = "application/hal+json", "application/json", "application/cbor"
LARGEST_BODY_BYTES = 64_000
MOST_HISTORY = 100
CLOCK_HOLDS_S = 60.0
JITTER_PCT = 10
LONGEST_NUMBER = 10  # digits of a customer's number
View = Callable[..., HttpResponseBase]


@dataclass(frozen=True)
class Caller:
    """Who asks: a device of an entered tenant, under the name it calls itself."""

    device: Device
    client: UpdateClient
    credential: str  # public id of its token; "" where answers may not be kept

    @property
    def tenant_id(self) -> UUID:
        return self.device.tenant_id


class NotLetIn(Exception):
    """401, whatever the reason."""


def device_view(*methods: str) -> Callable[[View], View]:
    """Lets a device in by its token, enters its tenant, undoes everything on a refusal."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def checked(
            request: HttpRequest, tenant_name: str, controller_id: str, **given: Any
        ) -> HttpResponseBase:
            if request.method not in methods:
                detail = f"{' and '.join(methods)} are served here."
                return problem(405, "Method not allowed", detail, headers={"Allow": ", ".join(methods)})
            if _accepts_only_cbor(request):
                return problem(406, "Not acceptable", "JSON is served here.")
            if not clients.is_name(controller_id):
                return problem(400, "Not valid", "A device's name here has at most 256 printable characters.")
            try:
                return _let_in(
                    request, tenant_name, controller_id, lambda caller: view(request, caller, **given)
                )
            except NotLetIn:
                return _not_let_in(request)
            except (OperationalError, InterfaceError):
                log.warning("The database is away", exc_info=True)
                return unavailable(request)

        return checked

    return decorate


def _let_in(
    request: HttpRequest, tenant_name: str, controller_id: str, answer: Callable[[Caller], HttpResponseBase]
) -> HttpResponseBase:
    at = clock.now()
    given = request.headers.get("Authorization", "")
    if given.startswith(TARGET):
        tenant_id, device_id, credential = _by_target_token(given.removeprefix(TARGET), at)
        key = None
    elif given.startswith(GATEWAY):
        key = keys.find(given.removeprefix(GATEWAY), at=at)
        if key is None:
            raise NotLetIn
        tenant_id, device_id, credential = key.tenant_id, None, ""
    elif given:
        raise NotLetIn
    else:
        tenant_id, device_id, credential = _by_certificate(request, tenant_name, controller_id), None, ""
        key = None
    if not _is_named(tenant_id, tenant_name):
        raise NotLetIn
    with tenant(tenant_id):
        try:
            caller = _caller(request, tenant_id, device_id, key, credential, controller_id, at=at)
            actor = Actor("device", caller.device.id, caller.device.name, client_address(request))
            with audit.acting(actor):
                response = answer(caller)
        except DomainError as error:
            response = _refused(error)
        if response.status_code >= 400:
            transaction.set_rollback(True)
        return response


def _by_target_token(text: str, at: datetime) -> tuple[UUID, UUID, str]:
    holder = credentials.find(text, at=at)
    if holder is None or not holder.valid:
        raise NotLetIn
    return holder.tenant_id, holder.device_id, holder.public_id


def _by_certificate(request: HttpRequest, tenant_name: str, controller_id: str) -> UUID:
    """A proxy has checked it. It says nothing of whose customer it is: the address names the number."""
    shown = client_certificates.shown(request)
    number = tenant_name.isascii() and tenant_name.isdigit() and len(tenant_name) <= LONGEST_NUMBER
    owner = by_number(int(tenant_name)) if shown is not None and number else None
    if shown is None or owner is None or not shown.is_of(controller_id):
        raise NotLetIn
    with tenant(owner.id):
        if not issuers.is_trusted(owner.id, shown.issuers):
            raise NotLetIn
    return owner.id


def _is_named(tenant_id: UUID, name: str) -> bool:
    """By its number, its id, or as the one the token is of."""
    told = name.casefold()
    if told in (ANY_TENANT, str(tenant_id)):
        return True
    if not (told.isascii() and told.isdigit() and len(told) <= LONGEST_NUMBER):
        return False
    return Tenant.objects.filter(id=tenant_id, number=int(told)).exists()


def _caller(
    request: HttpRequest,
    tenant_id: UUID,
    device_id: UUID | None,
    key: EnrollmentKey | None,
    credential: str,
    controller_id: str,
    *,
    at: datetime,
) -> Caller:
    """The device of the address. A token opens that of its own alone; a key registers one it does not know."""
    fetches = "/softwaremodules/" in request.path  # often another program, RAUC itself, thousands of times
    program = None if fetches else request.headers.get("User-Agent", "")
    known = clients.by_controller(tenant_id, controller_id)
    if device_id is not None:
        if known is not None and known.device_id != device_id:
            raise NotLetIn
        device = Device.objects.for_tenant(tenant_id).get(id=device_id)
        former = UpdateClient.objects.for_tenant(tenant_id).filter(device=device).first()
        own_names = {str(device.id), device.serial_number.casefold()}
        if former is not None and known is None and controller_id.casefold() not in own_names:
            raise NotLetIn  # it calls itself something else all of a sudden
    elif key is None:
        device = _certified(tenant_id, controller_id, known)
    elif known is not None:
        device = known.device
    elif request.method == "GET":
        device = _register(request, key, controller_id, at=at)
    else:
        raise NotLetIn
    if (
        device.status in (Device.Status.UNENROLLED, Device.Status.QUARANTINED)
        or device.retired_at is not None
    ):
        raise NotLetIn
    client = clients.client_of(device, controller_id, program, at=at)
    return Caller(device, client, credential)


def _certified(tenant_id: UUID, controller_id: str, known: UpdateClient | None) -> Device:
    """By id or serial number before any name: nobody is taken for another who calls itself by the other's."""
    own = clients.called(tenant_id, controller_id)
    if own is not None and known is not None and known.device_id != own.id:
        raise NotLetIn
    device = own or (known.device if known is not None else None)
    if device is None:
        raise NotLetIn
    return device


def _register(request: HttpRequest, key: EnrollmentKey, controller_id: str, *, at: datetime) -> Device:
    """Plug and play: it waits for somebody to accept it to a room."""
    hardware = described("Update client", controller_id)
    body = {"controller": controller_id}
    applying = Application(
        nonce=nonces.make("enroll", at=at),
        platform=Device.Platform.LINUX,
        kind=Device.Kind.ROOM_SYSTEM,
        hardware=hardware,
        digest=registration.signed_digest(body),
        agent_name="DDI",
        room_name="",
    )
    try:
        return registration.enroll(key, applying, address=client_address(request), at=at).device
    except DomainError as error:
        log.info("An update client was not registered: %s", error.message)
        raise NotLetIn from error


# Answers -----------------------------------------------------------------------------------------------------------


def _json(request: HttpRequest, document: Any) -> HttpResponse:
    return _tagged(request, json.dumps(document, separators=(",", ":")))


def _tagged(request: HttpRequest, body: str, etag: str = "") -> HttpResponse:
    """With the tag of its content; 304 where the device has it."""
    content = body.encode()
    tag = etag or ddi.etag(content)
    if tag in [each.strip() for each in request.headers.get("If-None-Match", "").split(",")]:
        return HttpResponse(status=304, headers={"ETag": tag})
    kind = HAL if HAL in request.headers.get("Accept", "") else JSON
    headers = {"ETag": tag, "Content-Length": str(len(content))}
    return HttpResponse(content, content_type=kind, headers=headers)


def _done(status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, headers={"Content-Length": "0"})


def _refused(error: DomainError) -> HttpResponse:
    for kind, status, title in (
        (AttemptEnded, 410, "Gone"),
        (QuotaReached, 429, "Too many requests"),
        (NotValid, 400, "Not valid"),
        (NotFound, 404, "Not found"),
        (Conflict, 409, "Conflict"),
    ):
        if isinstance(error, kind):
            members: dict[str, Any] = {}
            if error.field:
                members["errors"] = [{"field": error.field, "message": error.message}]
            return problem(status, title, error.message, code=error.code, **members)
    return problem(403, "Not allowed", error.message, code=error.code)


def _not_let_in(request: HttpRequest) -> HttpResponse:
    """An empty body, as clients expect it. Attempts of one address are limited."""
    wait_s = failed_attempts.note_failure(client_address(request))
    if wait_s:
        return problem(
            429, "Too many requests", "Too many attempts failed.", headers={"Retry-After": str(wait_s)}
        )
    return HttpResponse(status=401, headers={"Content-Length": "0"})


def _accepts_only_cbor(request: HttpRequest) -> bool:
    accepted = [each.partition(";")[0].strip() for each in request.headers.get("Accept", "").split(",")]
    return accepted == [CBOR]


def _body(request: HttpRequest) -> Any:
    """Raises NotValid."""
    if request.content_type == CBOR:
        raise NotValid("JSON is read here.")
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > LARGEST_BODY_BYTES:
        raise NotValid(f"The body is larger than {LARGEST_BODY_BYTES} bytes.")
    try:
        return strict_json(request.read(LARGEST_BODY_BYTES + 1))
    except ParseError as error:
        raise NotValid(str(error.detail)) from error


def _base(request: HttpRequest, caller: Caller) -> str:
    """Absolute, at the host the device called. DEFAULT stays as it was written: Zephyr looks for it in links."""
    name = _tenant_called(request) or str(caller.device.tenant.number)
    path = reverse("ddi-poll", args=[name, caller.client.controller_id])
    return request.build_absolute_uri(path)


def _tenant_called(request: HttpRequest) -> str:
    """DEFAULT as the device wrote it, "" where it named its customer."""
    assert request.resolver_match is not None
    name: str = request.resolver_match.kwargs["tenant_name"]
    return name if name.casefold() == ANY_TENANT else ""


def _sleep_s(device_id: UUID, at: datetime) -> int:
    """The usual pause, spread over devices and the same all day: a body that changes never matches its tag."""
    usual = settings.UPDATE_POLL_S
    spread = int(hashlib.blake2s(f"{device_id}{at.date()}".encode(), digest_size=4).hexdigest(), 16)
    share = (spread % (2 * JITTER_PCT + 1) - JITTER_PCT) / 100
    return int(usual * (1 + share))


# E1, E2 ------------------------------------------------------------------------------------------------------------


class _Clock:
    """The database's time for polls answered without it: read once a minute, carried on by this process's own."""

    def __init__(self) -> None:
        self._carried = clock.OffsetClock()
        self._read_at = 0.0

    def now(self) -> datetime:
        if not self._carried.known or time.monotonic() - self._read_at > CLOCK_HOLDS_S:
            self._read_at = time.monotonic()
            self._carried.renew(clock.now(), monotonic_s=self._read_at)
        return self._carried.now()


_without_sql = _Clock()


@csrf_exempt
def poll(request: HttpRequest, tenant_name: str, controller_id: str) -> HttpResponseBase:
    """What there is to do. Unchanged: two round trips to Redis and no SQL."""
    at = _without_sql.now()
    given = request.headers.get("Authorization", "")
    digest = hashlib.sha256(given.encode()).hexdigest()
    address = f"{request.scheme}://{request.get_host()}{request.path}"
    if request.method == "GET" and given.startswith(TARGET) and not _accepts_only_cbor(request):
        kept = polls.answer(address, digest, at=at)
        if kept is not None:
            return _tagged(request, kept.body, kept.etag)
    return _poll(
        request, tenant_name=tenant_name, controller_id=controller_id, address=address, digest=digest
    )


@device_view("GET")
def _poll(request: HttpRequest, caller: Caller, *, address: str, digest: str) -> HttpResponse:
    at = clock.now()
    version = polls.version(caller.device.id)
    found = device_offers.in_force(caller.tenant_id, caller.device.id, at=at)
    offer = device_offers.offer_of(*found, at=at) if found else None
    installed = device_offers.last_installed(caller.tenant_id, caller.device.id)
    document = ddi.poll(
        _base(request, caller),
        sleep_s=_sleep_s(caller.device.id, at),
        offer=offer,
        wants_attributes=caller.client.wants_attributes,
        installed=installed,
    )
    body = json.dumps(document, separators=(",", ":"))
    tag = ddi.etag(body.encode())
    if caller.credential:
        kept = polls.Kept(caller.tenant_id, caller.device.id, caller.credential, tag, body)
        until = device_offers.same_until(found[0], at=at) if found else None
        polls.keep(address, digest, kept, version=version, until=until, at=at)
    else:
        clients.note_polls(caller.tenant_id, {caller.device.id: at})
    return _tagged(request, body, tag)


@device_view("PUT")
def config_data(request: HttpRequest, caller: Caller) -> HttpResponse:
    """What the device tells of itself."""
    body = _body(request)
    if not isinstance(body, dict):
        raise NotValid("An object.")
    clients.keep_attributes(caller.client, body.get("data"), body.get("mode") or "merge")
    polls.forget([caller.device.id], tenant_id=caller.tenant_id)
    return _done()


# E3, E4 ------------------------------------------------------------------------------------------------------------


@device_view("GET")
def deployment_base(request: HttpRequest, caller: Caller, *, number: int) -> HttpResponse:
    """What to install. A finished action still answers; one that is being cancelled does not."""
    attempt = attempts.of_number(caller.tenant_id, caller.device.id, number)
    if attempt.state in (AttemptState.CANCELLING, AttemptState.CANCELLED, AttemptState.CONFIRMING):
        raise Missing("action")
    document = _deployment(request, caller, attempt, "deployment")
    attempts.fetched(attempt, at=clock.now())
    return _json(request, document)


@device_view("POST")
def deployment_feedback(request: HttpRequest, caller: Caller, *, number: int) -> HttpResponse:
    """How it goes, and how it ended."""
    attempt = attempts.of_number(caller.tenant_id, caller.device.id, number)
    attempts.report(attempt, ddi.feedback(_body(request)), at=clock.now())
    return _done()


def _deployment(request: HttpRequest, caller: Caller, attempt: Attempt, member: str) -> dict[str, Any]:
    file = Artifact.objects.for_tenant(caller.tenant_id).filter(release_id=attempt.release_id).first()
    if file is None:
        raise Missing("file")
    query = device_offers.link_query(attempt, file)
    if _tenant_called(request):  # who has the link alone has no token that says whose it is
        query += f"&customer={caller.device.tenant.number}"
    document = ddi.deployment(
        _base(request, caller),
        device_offers.offer_of(attempt, file, at=clock.now()),
        query=query,
        member=member,
    )
    history = _integer(request, "actionHistory", 0)
    if history:
        document["actionHistory"] = _history(
            attempt, MOST_HISTORY if history < 0 else min(history, MOST_HISTORY)
        )
    return document


def _history(attempt: Attempt, most: int) -> dict[str, Any]:
    """What the device said, newest first."""
    rows = attempt.reports.filter(by_device=True).order_by("-at", "-id")[:most]
    lines = [line for row in rows for line in reversed(row.details)]
    done = "FINISHED" if device_offers.is_installed(attempt) else "DOWNLOADED"
    status = {"succeeded": done, "failed": "ERROR", "cancelled": "CANCELED", "cancelling": "CANCELING"}
    return {"status": status.get(attempt.state, "RUNNING"), "messages": lines[:most]}


def _integer(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise NotValid("A whole number.", field=name) from error


# E5, E6 ------------------------------------------------------------------------------------------------------------


@device_view("GET")
def cancel_action(request: HttpRequest, caller: Caller, *, number: int) -> HttpResponse:
    attempt = attempts.of_number(caller.tenant_id, caller.device.id, number)
    if attempt.state != AttemptState.CANCELLING:
        raise Missing("action to cancel")
    text = str(number)
    return _json(request, {"id": text, "cancelAction": {"stopId": text}})


@device_view("POST")
def cancel_feedback(request: HttpRequest, caller: Caller, *, number: int) -> HttpResponse:
    attempt = attempts.of_number(caller.tenant_id, caller.device.id, number)
    said = ddi.feedback(_body(request))
    if attempt.state != AttemptState.CANCELLING:
        return problem(405, "Method not allowed", "This action is not being cancelled.")
    attempts.cancel_report(attempt, said, at=clock.now())
    return _done()


# E7, E8 ------------------------------------------------------------------------------------------------------------


@device_view("GET")
def installed_base(request: HttpRequest, caller: Caller, *, number: int) -> HttpResponse:
    attempt = attempts.of_number(caller.tenant_id, caller.device.id, number)
    if not device_offers.is_installed(attempt):
        raise Missing("installed action")
    return _json(request, _deployment(request, caller, attempt, "deployment"))


@device_view("PUT")
def installed(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The device says that it runs a release, however it came by it."""
    body = _body(request)
    told = body if isinstance(body, dict) else {}
    for name in ("name", "version"):
        if not isinstance(told.get(name), str) or not told[name]:
            raise NotValid("This is missing.", field=name)
    row = (
        Release.objects.for_tenant(caller.tenant_id)
        .filter(name=told["name"], version=told["version"])
        .first()
    )
    if row is None:
        raise Missing("release")
    known = caller.client.attributes.get(row.component) == row.version
    if not known:
        caller.client.attributes = {**caller.client.attributes, row.component: row.version}
        caller.client.save(update_fields=["attributes"])
    return _done(200 if known else 201)


# E9, E10, E11 ------------------------------------------------------------------------------------------------------


@device_view("GET")
def module_artifacts(request: HttpRequest, caller: Caller, *, number: int) -> HttpResponse:
    attempt = attempts.of_number(caller.tenant_id, caller.device.id, number)
    if not _may_fetch(attempt) and not device_offers.is_installed(attempt):
        raise Missing("module")
    document = _deployment(request, caller, attempt, "deployment")
    return _json(request, document["deployment"]["chunks"][0]["artifacts"])


@csrf_exempt
def artifact(
    request: HttpRequest, tenant_name: str, controller_id: str, number: int, name: str
) -> HttpResponseBase:
    """The file or its checksum: for the device by its token, for whoever has a signed link by that."""
    if "signature" in request.GET and not request.headers.get("Authorization"):
        return _by_link(request, tenant_name, number=number, name=name)
    return _artifact(request, tenant_name=tenant_name, controller_id=controller_id, number=number, name=name)


@device_view("GET", "HEAD")
def _artifact(request: HttpRequest, caller: Caller, *, number: int, name: str) -> HttpResponseBase:
    attempt = attempts.of_number(caller.tenant_id, caller.device.id, number)
    if not _may_fetch(attempt):
        raise Missing("file")
    return _file(request, attempt, name)


def _by_link(request: HttpRequest, tenant_name: str, *, number: int, name: str) -> HttpResponseBase:
    told = request.GET.get("customer", "") if _tenant_called(request) else tenant_name
    is_number = told.isascii() and told.isdigit() and len(told) <= LONGEST_NUMBER
    owner = Tenant.objects.filter(number=int(told)).first() if is_number else None
    expires = request.GET.get("expires", "")
    if owner is None or not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        return problem(403, "Not let in", "This link does not hold.", code="link_expired")
    with tenant(owner.id):
        rows = Attempt.objects.for_tenant(owner).filter(number=number)
        attempt = rows.select_related("release").first()
        file = _artifact_of(attempt) if attempt else None
        if attempt is None or file is None or not _may_fetch(attempt):
            return problem(404, "Not found", "This file is no longer offered.", code="not_found")
        link = artifact_links.Link(owner.id, file.sha256, file.name, int(expires))
        if not link.holds(request.GET.get("signature", ""), at=clock.now()):
            return problem(403, "Not let in", "This link does not hold.", code="link_expired")
        try:
            return _file(request, attempt, name)
        except Missing as error:
            return _refused(error)


def _file(request: HttpRequest, attempt: Attempt, name: str) -> HttpResponseBase:
    file = _artifact_of(attempt)
    if file is not None and name == f"{file.name}.MD5SUM":
        line = f"{file.md5}  {file.name}"
        headers = {"Content-Length": str(len(line.encode()))}
        return HttpResponse(line, content_type="text/plain", headers=headers)
    size = artifacts.size_of(attempt.tenant_id, file.sha256) if file is not None else None
    if file is None or size is None or name != file.name:
        raise Missing("file")
    if request.method == "GET" and not request.headers.get("Range"):
        attempts.download_began(attempt, at=clock.now())
    return deliver(
        request, attempt.tenant_id, file.sha256, file.name, size, tag=file.sha1, made_at=file.created_at
    )


def _artifact_of(attempt: Attempt) -> Artifact | None:
    return releases.artifact_of(attempt.release)


def _may_fetch(attempt: Attempt) -> bool:
    """While it is in force and not being cancelled."""
    stopped = (AttemptState.CANCELLING, AttemptState.CONFIRMING)
    return attempt.ended_at is None and attempt.state not in stopped and not attempt.release.withdrawn


# E12 to E16: consent -----------------------------------------------------------------------------------------------


@device_view("GET")
def confirmation_base(request: HttpRequest, caller: Caller) -> HttpResponse:
    base = _base(request, caller)
    standing = caller.client.auto_confirm
    change = "deactivateAutoConfirm" if standing else "activateAutoConfirm"
    links: dict[str, Any] = {change: {"href": f"{base}/confirmationBase/{change}"}}
    at = clock.now()
    found = device_offers.in_force(caller.tenant_id, caller.device.id, at=at)
    if found and found[0].state == AttemptState.CONFIRMING:
        offer = device_offers.offer_of(*found, at=at)
        address = f"{base}/confirmationBase/{offer.number}?c={ddi.revision(offer)}"
        links["confirmationBase"] = {"href": address}
    return _json(
        request, {"autoConfirm": {"active": standing is not None, **(standing or {})}, "_links": links}
    )


@device_view("GET")
def confirmation(request: HttpRequest, caller: Caller, *, number: int) -> HttpResponse:
    attempt = attempts.of_number(caller.tenant_id, caller.device.id, number)
    if attempt.state != AttemptState.CONFIRMING:
        raise Missing("question")
    return _json(request, _deployment(request, caller, attempt, "confirmation"))


@device_view("POST")
def confirmation_feedback(request: HttpRequest, caller: Caller, *, number: int) -> HttpResponse:
    body = _body(request)
    said = body.get("confirmation") if isinstance(body, dict) else None
    if said not in ("confirmed", "denied"):
        raise NotValid("confirmed or denied.", field="confirmation")
    details = body.get("details") or []
    lines = details if isinstance(details, list) else [details]
    attempt = attempts.of_number(caller.tenant_id, caller.device.id, number)
    kept = [str(line)[: ddi.MOST_CHARACTERS].replace("\x00", "") for line in lines[: ddi.MOST_DETAILS]]
    attempts.confirm(attempt, agreed=said == "confirmed", details=kept, at=clock.now())
    return _done()


@device_view("POST")
def auto_confirm_on(request: HttpRequest, caller: Caller) -> HttpResponse:
    if caller.client.auto_confirm is not None:
        raise Conflict("Standing consent is given already.")
    told = _body(request) if request.headers.get("Content-Length", "0") not in ("", "0") else {}
    at = clock.now()
    named = {
        name: str(told[name])[:128].replace("\x00", "")
        for name in ("initiator", "remark")
        if isinstance(told, dict) and told.get(name)
    }
    caller.client.auto_confirm = {**named, "activatedAt": int(at.timestamp() * 1000)}
    caller.client.save(update_fields=["auto_confirm"])
    attempts.confirm_all(caller.tenant_id, caller.device.id, at=at)
    return _done()


@device_view("POST")
def auto_confirm_off(request: HttpRequest, caller: Caller) -> HttpResponse:
    caller.client.auto_confirm = None
    caller.client.save(update_fields=["auto_confirm"])
    return _done()
