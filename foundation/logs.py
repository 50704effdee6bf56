"""What may not reach a log: secrets are replaced before any handler writes them (security, edges)."""

from __future__ import annotations

import logging
import re

import structlog

SECRETS = re.compile(
    r"""(?ix)
    (gr[a-z]{2}_[a-z0-9]{12}_)[\w-]{20,}                                    # our own keys, tokens and links
    | (/sign-in/new-password/[0-9a-z]+-)[\w-]{12,}                            # links to a new password
    | (\b(?:authorization|proxy-authorization|cookie|set-cookie)\b["']?\s*[:=]\s*["']?)[^"'\r\n]+
    | (\bbearer\s+)[\w.~+/=-]{8,}
    | (\b(?:client_secret|password|passwd|secret_key)\b["']?\s*[:=]\s*(?P<quote>["']))(?:\\.|(?!(?P=quote))[^\r\n])+
    | (\b(?:client_secret|password|passwd|secret_key)\b["']?\s*[:=]\s*)[^\s"'&,}]+
    | (\b(?:postgres|postgresql|redis|rediss|smtp|smtps)://[^\s:@/]*:)[^\s@/]+(?=@)  # addresses with a password
    """
)
HIDDEN = "[hidden]"


def without_secrets(text: str) -> str:
    return SECRETS.sub(lambda match: next(group for group in match.groups() if group) + HIDDEN, text)


class HideSecrets(logging.Filter):
    """Cleans the finished message and the traceback of every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_secrets(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = without_secrets(record.exc_text)
        return True


def json_lines() -> logging.Formatter:
    """One JSON object a line, for a log collector: time (UTC), level, logger, event, exception."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
