"""What may not reach a log: secrets are replaced before any handler writes them (security, edges)."""

from __future__ import annotations

import logging
import re

import structlog

# A name of a secret, whatever stands before it (new_password, GREENROOM_SECRET_KEY: not looked at, or a long word would
# be read once for each of its letters), and what parts it from the value:
# `=`, `:`, an encoded `=`, a comma of a pair; quotes may be escaped, and a value may stand in a list, as in a form's data.
_NAMED = r"""(?:password|passwd|client_secret|secret_key|sessionid|csrftoken|csrfmiddlewaretoken)\d?"""
_PARTED = r"""(?:\\?["'])?\s*(?:[:=,]|%3D)\s*[\[(]?\s*b?"""
SECRETS = re.compile(
    rf"""(?ix)
    (gr[a-z]{{2}}_[a-z0-9]{{12}}_)[\w-]{{20,}}                                 # our own keys, tokens and links
    | (/sign-in/new-password/[0-9a-z]+-)[\w-]{{12,}}                         # links to a new password
    | (\b(?:authorization|proxy-authorization|cookie|set-cookie){_PARTED}(?:\\?["'])?)[^"'\\\r\n]+
    | (\bbearer\s+)[\w.~+/=-]{{8,}}
    | ({_NAMED}{_PARTED}(?P<quote>\\?["']))(?:(?!(?P=quote))(?:\\.|[^\r\n]))+
    | ({_NAMED}{_PARTED})[^\s"'\\&,;}}\])]+
    | (\b[a-z][a-z0-9+.-]{{0,20}}://[^\s:@/]*:)[^\s@/]+(?=@)                        # addresses with a password
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
