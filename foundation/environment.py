"""Settings from the environment: read once, checked together, documented from the code (docs/settings.md)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import unquote, urlsplit

T = TypeVar("T")


class BadSetting(SystemExit):
    """Ends the process with one clear line for each bad value."""


@dataclass(frozen=True)
class MailServer:
    """`tls`: from the first byte, or begun by STARTTLS, or none."""

    host: str
    port: int
    user: str
    password: str
    tls: Literal["at once", "starttls", "none"]


@dataclass(frozen=True)
class Setting:
    name: str
    meaning: str
    default: str
    kind: str


class Environment:
    """Reads variables and remembers what it read. `finish()` ends the process if any was bad."""

    def __init__(self, variables: dict[str, str] | None = None) -> None:
        self._variables = dict(os.environ) if variables is None else variables
        self._problems: list[str] = []
        self.settings: list[Setting] = []

    def text(
        self, name: str, default: str, meaning: str, *, one_of: tuple[str, ...] = (), shown: str | None = None
    ) -> str:
        kind = " or ".join(one_of) if one_of else "text"

        def parse(value: str) -> str:
            if one_of and value not in one_of:
                raise ValueError(f"must be {kind}")
            return value

        return self._read(name, default, meaning, kind, parse, shown=shown)

    def words(self, name: str, default: str, meaning: str) -> list[str]:
        return self._read(
            name, default, meaning, "words, comma-separated", lambda value: [w for w in value.split(",") if w]
        )

    def networks(self, name: str, default: str, meaning: str) -> list[IPv4Network | IPv6Network]:
        def parse(value: str) -> list[IPv4Network | IPv6Network]:
            try:
                return [ip_network(each.strip()) for each in value.split(",") if each.strip()]
            except ValueError:
                raise ValueError("must look like 192.0.2.7,2001:db8::/32") from None

        return self._read(name, default, meaning, "addresses or networks, comma-separated", parse)

    def integer(self, name: str, default: int, meaning: str, *, least: int, most: int) -> int:
        def parse(value: str) -> int:
            number = int(value)
            if not least <= number <= most:
                raise ValueError(f"must be {least} to {most}")
            return number

        return self._read(name, str(default), meaning, f"{least} to {most}", parse)

    def flag(self, name: str, default: bool, meaning: str) -> bool:
        values = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

        def parse(value: str) -> bool:
            if value.lower() not in values:
                raise ValueError("must be true or false")
            return values[value.lower()]

        return self._read(name, "true" if default else "false", meaning, "true or false", parse)

    def path(self, name: str, default: Path, meaning: str, *, shown: str) -> Path:
        return self._read(
            name, str(default), meaning, "folder", lambda value: Path(value).absolute(), shown=shown
        )

    def secret(self, name: str, default: str, meaning: str, *, shown: str) -> str:
        def parse(value: str) -> str:
            if len(value) < 32:
                raise ValueError("must have at least 32 characters")
            return value

        return self._read(name, default, meaning, "text", parse, shown=shown)

    def database(self, name: str, meaning: str) -> dict[str, str]:
        """A postgresql:// address as Django's NAME, USER, PASSWORD, HOST, PORT; empty where unset."""

        def parse(value: str) -> dict[str, str]:
            if not value:
                return {}
            parts = urlsplit(value)
            if (
                parts.scheme not in ("postgres", "postgresql")
                or not parts.path.strip("/")
                or not parts.username
            ):
                raise ValueError("must look like postgresql://user:password@host:port/name")
            return {
                "NAME": unquote(parts.path.lstrip("/")),
                "USER": unquote(parts.username),
                "PASSWORD": unquote(parts.password or ""),
                "HOST": unquote(parts.hostname or ""),
                "PORT": str(parts.port or 5432),
            }

        return self._read(name, "", meaning, "postgresql:// address", parse)

    def redis(self, name: str, meaning: str) -> str:
        def parse(value: str) -> str:
            if value and urlsplit(value).scheme not in ("redis", "rediss"):
                raise ValueError("must look like redis://:password@host:port/0")
            return value

        return self._read(name, "", meaning, "redis:// address", parse)

    def mail_server(self, name: str, meaning: str) -> MailServer | None:
        """None where unset. A password never goes out in the clear: without TLS there must be none."""
        looks = "must look like smtp://user:password@host:587 or smtps://user:password@host:465"

        def parse(value: str) -> MailServer | None:
            if not value:
                return None
            try:
                parts = urlsplit(value)
                host, port = parts.hostname, parts.port
            except ValueError:  # a port that is none
                raise ValueError(looks) from None
            at_once, asked = parts.scheme == "smtps", parts.query
            if parts.scheme not in ("smtp", "smtps") or not host or parts.path.strip("/") or parts.fragment:
                raise ValueError(looks)
            if asked and (asked != "tls=none" or at_once):
                raise ValueError("must have nothing after the port, or ?tls=none for smtp")
            if bool(parts.username) != bool(parts.password):
                raise ValueError("must have user and password, or neither")
            if asked and parts.password:
                raise ValueError("must have no password where TLS is none")
            return MailServer(
                host,
                port or (465 if at_once else 587),
                unquote(parts.username or ""),
                unquote(parts.password or ""),
                "at once" if at_once else "none" if asked else "starttls",
            )

        return self._read(name, "", meaning, "smtp:// or smtps:// address", parse)

    def mail_address(self, name: str, default: str, meaning: str) -> str:
        """An address, with or without a name before it."""

        def parse(value: str) -> str:
            _, address = parseaddr(value)
            local, _, domain = address.rpartition("@")
            if not local or not domain or not value.isprintable():
                raise ValueError("must look like Greenroom <greenroom@example.com>")
            return value

        return self._read(name, default, meaning, "address", parse)

    def problem(self, text: str) -> None:
        self._problems.append(text)

    def finish(self) -> None:
        """Raises BadSetting, which names every bad value at once."""
        if self._problems:
            raise BadSetting("Greenroom cannot start:\n" + "\n".join(f"  {line}" for line in self._problems))

    def _read(
        self,
        name: str,
        default: str,
        meaning: str,
        kind: str,
        parse: Callable[[str], T],
        *,
        shown: str | None = None,
    ) -> T:
        self.settings.append(Setting(name, meaning, default if shown is None else shown, kind))
        value = self._variables.get(name, default)
        try:
            return parse(value)
        except ValueError as error:
            said = str(error) if str(error).startswith("must") else f"must be {kind}"
            self._problems.append(f"{name} {said}.")
            return parse(default)
