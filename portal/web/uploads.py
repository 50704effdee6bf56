"""Files people send with a form: to disk while they come, and no further than their limit."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.files.uploadhandler import StopUpload, TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt, csrf_protect

TOO_LARGE = "upload_too_large"  # attribute of a request whose file was cut off
View = Callable[..., HttpResponseBase]


class _Limited(TemporaryFileUploadHandler):
    """Writes to a file from the first byte, and stops at the limit."""

    def __init__(self, request: HttpRequest, limit_bytes: int) -> None:
        super().__init__(request)
        self._limit = limit_bytes

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        if start + len(raw_data) > self._limit:
            setattr(self.request, TOO_LARGE, True)
            raise StopUpload(connection_reset=False)
        return super().receive_data_chunk(raw_data, start)


def accepts_upload(limit_bytes: int) -> Callable[[View], View]:
    """Stands above everything else of a view: the body is read by whoever asks for a field first, the check of the
    form's token among them. In the form that token stands before the file."""

    def decorate(view: View) -> View:
        protected = csrf_protect(view)

        @csrf_exempt
        @wraps(view)
        def outer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            request.upload_handlers = [_Limited(request, limit_bytes)]
            return protected(request, *args, **kwargs)

        return outer

    return decorate


def is_too_large(request: HttpRequest) -> bool:
    return bool(getattr(request, TOO_LARGE, False))
