"""Sends mail out of the outbox, by Django's e-mail backend."""

from __future__ import annotations

import smtplib

from django.conf import settings
from django.core.mail import EmailMessage

from foundation import mail
from foundation.outbox import Delivery, Refused, TryLater

PERMANENT = range(500, 600)


def send(delivery: Delivery) -> None:
    """The Message-ID stays the same over all tries: a mail server or reader recognises one it has had.

    Raises Refused for what the mail server will never take, TryLater for everything else it says: a server that does
    not let us in, or greets with a refusal, says nothing of this mail.
    """
    payload = delivery.payload
    domain = settings.DEFAULT_FROM_EMAIL.rsplit("@", 1)[-1].strip("> ")
    message = EmailMessage(
        subject=payload["subject"],
        body=mail.text_of(payload, tenant_id=delivery.tenant_id),
        to=[payload["to"]],
        headers={"Message-ID": f"<{delivery.id}@{domain}>", "Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        raise (Refused if code in PERMANENT else TryLater)(f"The address was refused: {code}") from error
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPConnectError, smtplib.SMTPHeloError) as error:
        raise TryLater(f"The mail server does not let us in: {error.smtp_code}") from error
    except smtplib.SMTPResponseException as error:
        kind = Refused if error.smtp_code in PERMANENT else TryLater
        raise kind(f"The mail server answered {error.smtp_code}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise TryLater(f"The mail server is away: {type(error).__name__}") from error
