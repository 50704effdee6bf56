"""The way to the mail server of the installation, over TLS that is checked."""

from __future__ import annotations

import smtplib
import ssl

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend
from django.utils.functional import cached_property


class MailServerBackend(EmailBackend):
    """Django's SMTP backend, which also trusts the authority named for outgoing calls: many mail servers of
    companies have a certificate of the company's own."""

    _partial_connection: smtplib.SMTP | None

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if settings.GUARDED_CLIENT_CA:
            context.load_verify_locations(settings.GUARDED_CLIENT_CA)
        return context

    def open(self) -> bool | None:
        try:
            return super().open()
        except OSError:  # a conversation that failed half-way
            if self._partial_connection is not None:
                self._partial_connection.close()
                self._partial_connection = None
            raise
