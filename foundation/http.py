"""The client for addresses a customer typed: it cannot be turned against our own network (security, edges).

The name is resolved once, every address it has must be public, and the connection goes to the address checked while
TLS still checks the name. https on 443 only; no redirects, no proxies, no cookies kept; bounded in time and size as a
whole, however slowly the other side sends.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.poolmanager import PoolManager
from urllib3.util.connection import create_connection

CONNECT_S, READ_S = 5.0, 20.0
WHOLE_S = 30.0  # a call from its connection to the last byte: READ_S alone holds for each piece that comes
MAX_BYTES = 5_000_000
HTTPS_PORT = 443
# Of IPv6 only what IANA hands out (2000::/3), less what carries other addresses (6to4, Teredo) or leads nowhere.
# Python calls some of these global, and not the same ones in each of its versions.
GLOBAL_V6 = ipaddress.ip_network("2000::/3")
MISLEADING = tuple(
    map(
        ipaddress.ip_network,
        ("2002::/16", "2001::/32", "2001:db8::/32", "3fff::/20", "192.88.99.0/24", "192.0.0.0/24"),
    )
)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Blocked(ValueError):
    """The address is not one we call. Nothing was sent. No OSError: the layers below would wrap and retry it."""


class TooLarge(requests.exceptions.RequestException):
    """The answer is longer than MAX_BYTES."""


class TooSlow(requests.exceptions.Timeout):
    """The answer was not whole after WHOLE_S."""


@dataclass(frozen=True)
class Answer:
    """A whole answer, at most MAX_BYTES long."""

    status: int
    headers: dict[str, str]
    body: bytes


def is_public(address: Address) -> bool:
    """Whether an address is of the public internet, whatever form it hides in."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in GLOBAL_V6:
            return False
    if any(address in network for network in MISLEADING):
        return False
    return address.is_global and not address.is_multicast


def request(method: str, url: str, *, headers: dict[str, str] | None = None, **body: Any) -> Answer:
    """Call `url`. Raises Blocked, TooLarge, TooSlow, or another requests exception; an error status is an answer.

    `body`: `json=`, `data=` or `params=` as requests takes them.
    """
    _check_form(url)
    try:
        with _bounded():
            return _sent(method, url, headers, body)
    except requests.exceptions.InvalidURL as error:  # a name or host no resolver is asked for
        raise Blocked("This is not an address.") from error


def _sent(method: str, url: str, headers: dict[str, str] | None, body: dict[str, Any]) -> Answer:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", _GuardedAdapter())
        with session.request(
            method,
            url,
            headers=headers,
            timeout=(CONNECT_S, READ_S),
            allow_redirects=False,
            stream=True,
            verify=settings.GUARDED_CLIENT_CA or True,
            **body,
        ) as response:
            return Answer(response.status_code, dict(response.headers), _read(response))


def _check_form(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = HTTPS_PORT if parts.port is None else parts.port
    except ValueError as error:
        raise Blocked("This is not an address.") from error
    if parts.scheme != "https" or not parts.hostname:
        raise Blocked("The address must start with https://.")
    if port != HTTPS_PORT and not settings.GUARDED_CLIENT_ALLOWS:
        raise Blocked("Only port 443 is called.")
    if parts.username or parts.password:
        raise Blocked("Leave user name and password out of the address.")


def _read(response: requests.Response) -> bytes:
    chunks, size = [], 0
    for chunk in response.iter_content(65_536):
        size += len(chunk)
        if size > MAX_BYTES:
            raise TooLarge(f"The answer is longer than {MAX_BYTES} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


class _Watch:
    """Cuts the connection of a call that takes too long: whatever waits for the other side wakes up and fails."""

    def __init__(self) -> None:
        self.is_over = False
        self._line: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(WHOLE_S, self._cut)
        self._timer.daemon = True

    def start(self) -> None:
        self._timer.start()

    def hold(self, line: socket.socket) -> None:
        """`line` is held by a number of its own: TLS takes the given one over."""
        with self._lock:
            if self._line is not None:
                self._line.close()
            self._line = line.dup()
        if self.is_over:
            self._cut()

    def stop(self) -> None:
        self._timer.cancel()
        with self._lock:
            if self._line is not None:
                self._line.close()
            self._line = None

    def _cut(self) -> None:
        with self._lock:
            self.is_over = True
            if self._line is not None:
                with suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def _bounded() -> Iterator[None]:
    """Raises TooSlow, also where a cut answer would pass for a whole one."""
    watch = _Watch()
    token = _watch.set(watch)
    watch.start()
    try:
        yield
    except requests.exceptions.RequestException as error:
        if watch.is_over:
            raise TooSlow(f"The answer was not whole after {WHOLE_S:.0f} seconds.") from error
        raise
    else:
        if watch.is_over:
            raise TooSlow(f"The answer was not whole after {WHOLE_S:.0f} seconds.")
    finally:
        watch.stop()
        _watch.reset(token)


def _checked_address(host: str, port: int) -> str:
    """One address of `host`, after all of them passed. Raises Blocked."""
    try:
        found = _resolved(host.strip("[]"), port)
    except TimeoutError as error:
        raise Blocked(f"{host} was not found within {CONNECT_S:.0f} seconds.") from error
    except (OSError, UnicodeError) as error:
        raise Blocked(f"{host} has no address.") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]
    allowed = [ipaddress.ip_network(network) for network in settings.GUARDED_CLIENT_ALLOWS]
    for address in addresses:
        if any(address in network for network in allowed):
            continue
        if not is_public(address):
            raise Blocked(f"{host} is not on the public internet.")
        if port != HTTPS_PORT:
            raise Blocked("Only port 443 is called.")
    return str(addresses[0])


def _resolved(host: str, port: int) -> list[Any]:
    """The resolver knows no time limit: a slow one is left to wait in a thread of its own. Raises OSError,
    UnicodeError, TimeoutError."""
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    return found.result(timeout=CONNECT_S)


class _GuardedConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        address = _checked_address(self._dns_host, self.port or HTTPS_PORT)
        line = create_connection((address, self.port or HTTPS_PORT), CONNECT_S)
        watch = _watch.get()
        if watch is not None:
            watch.hold(line)
        return line


class _GuardedPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"https": _GuardedPool}
