"""Update packages for devices, by signed link: the whole file or a part, straight or through a front server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import IO
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import http_date

from foundation import clock
from portal.api.byte_ranges import Changed, NotSatisfiable, not_modified, wanted
from portal.errors import problem
from updates import artifact_links, artifacts

PIECE_BYTES = 256 * 1024
CONDITIONS = ("Range", "If-Range", "If-Match")


def download(request: HttpRequest, tenant_id: UUID, sha256: str, name: str) -> HttpResponseBase:
    """GET and HEAD. The link is the right: a device needs no token here, and no row is read or written."""
    if request.method not in ("GET", "HEAD"):
        return problem(405, "Method not allowed", "GET is served here.", headers={"Allow": "GET, HEAD"})
    expires = request.GET.get("expires", "")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        return _not_let_in()
    link = artifact_links.Link(tenant_id, sha256, name, int(expires))
    if not link.holds(request.GET.get("signature", ""), at=clock.now()):
        return _not_let_in()
    size = artifacts.size_of(tenant_id, sha256)
    if size is None:
        return problem(404, "Not found", "This file is no longer offered.", code="not_found")
    return deliver(request, tenant_id, sha256, name, size)


def deliver(
    request: HttpRequest,
    tenant_id: UUID,
    sha256: str,
    name: str,
    size_bytes: int,
    *,
    tag: str = "",
    made_at: datetime | None = None,
) -> HttpResponseBase:
    """Kept content as the request's conditions want it. Whoever calls has checked that it may be had.

    `tag`: what identifies it to this caller, where that is not its SHA-256.
    """
    etag = f'"{tag or sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Cache-Control": "private, max-age=86400",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
    if made_at is not None:
        headers["Last-Modified"] = http_date(made_at.timestamp())
    front = settings.FILES_FRONT
    if front:  # it reads the conditions itself, against the tag it gives the file
        path = quote(artifacts.path_of(tenant_id, sha256))
        headers.pop("ETag")
        return HttpResponse(
            headers=headers | {"X-Accel-Redirect": f"{front}/{path}"}, content_type="application/octet-stream"
        )
    try:
        span = wanted(
            {each: request.headers[each] for each in CONDITIONS if each in request.headers}, size_bytes, etag
        )
    except Changed:
        return problem(412, "Changed", "This is not the file you have a part of.", code="changed")
    except NotSatisfiable:
        detail = f"The file has {size_bytes} bytes."
        return problem(416, "No such range", detail, headers={"Content-Range": f"bytes */{size_bytes}"})
    if not_modified(request.headers.get("If-None-Match", ""), etag):
        return HttpResponse(status=304, headers=headers)

    first, length = (span.first, span.length) if span else (0, size_bytes)
    headers["Content-Length"] = str(length)
    if span and request.method == "GET":  # RFC 9110 defines ranges for GET only
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{size_bytes}"
    elif span:
        headers["Content-Length"] = str(size_bytes)
    status = 206 if "Content-Range" in headers else 200
    if request.method == "HEAD":
        return HttpResponse(headers=headers, content_type="application/octet-stream")
    content = artifacts.open_part(tenant_id, sha256, first, length)
    return StreamingHttpResponse(
        Part(content, length), status=status, headers=headers, content_type="application/octet-stream"
    )


class Part:
    """Bytes of an open file in pieces; the server closes it, also when the device hangs up."""

    def __init__(self, content: IO[bytes], length: int) -> None:
        self._content, self._left = content, length
        self.close = content.close

    def __iter__(self) -> Iterator[bytes]:
        while self._left > 0 and (piece := self._content.read(min(PIECE_BYTES, self._left))):
            self._left -= len(piece)
            yield piece


def _not_let_in() -> HttpResponse:
    detail = "This link does not hold or has expired. Ask for the update again."
    return problem(403, "Not let in", detail, code="link_expired")
