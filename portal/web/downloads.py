"""Stored files on their way to a browser, which must neither show nor run them."""

from __future__ import annotations

from django.http import FileResponse

from foundation import files
from foundation.models import StoredFile


def download(row: StoredFile) -> FileResponse:
    """The content as an attachment. What FileResponse guesses of name and type gives way to ours."""
    response = FileResponse(files.open_stored(row))
    for name, value in files.download_headers(row).items():
        response[name] = value
    return response
