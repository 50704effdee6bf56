"""The service's device API over HTTP (contract v1): requests out, checked answers in."""

import email.utils
import gzip
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from agent import __version__
from agent.delivery import Batch
from agent.errors import AgentError, NoAnswer, Refused, Revoked, ServiceError, Unauthorized
from agent.state import clean_counts

CONNECT_S, READ_S = 5.0, 15.0
_LARGEST_ANSWER = 1_000_000
_API = "/device/v1"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to accepted heartbeats."""

    committed: int | None  # the highest number below which nothing is missing; None: delete nothing
    server_time: datetime | None  # aware
    next_in_s: float | None
    rotate: str  # a nonce if the token should be renewed, else empty
    inventory_wanted: bool
    expected: dict[str, int] | None  # equipment of the room; None: not said


@dataclass(frozen=True, slots=True)
class Credential:
    token: str
    expires_at: str


class Service:
    """One device API. Every call raises ServiceError or one of its kinds; none follows a redirect."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"greenroom-agent/{__version__}"

    def challenge(self) -> str:
        """A nonce to sign, good for some minutes."""
        return _text(self._ask("POST", f"{self.url}/enroll/challenge", {}), "nonce")

    def enroll(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """Register; repeating it with the same public key names the same device."""
        return self._ask("POST", f"{self.url}/enroll", body, auth=_Authorization("Enroll", key))

    def rotate(self, token: str, nonce: str, signature: str) -> Credential:
        """A new token; the old one works until the new one is first used."""
        body = {"nonce": nonce, "signature": signature}
        return _credential(self._ask("POST", f"{self.url}/token/rotate", body, auth=_device(token)))

    def recover(self, device_id: str, nonce: str, signature: str) -> Credential:
        """A new token for a device whose own has expired."""
        body = {"device_id": device_id, "nonce": nonce, "signature": signature}
        return _credential(self._ask("POST", f"{self.url}/token/recover", body))

    def put_inventory(self, token: str, document: dict[str, Any]) -> None:
        packed = gzip.compress(json.dumps(document, ensure_ascii=False).encode(), mtime=0)
        self._send("PUT", f"{self.url}/inventory", packed, compressed=True, auth=_device(token))

    def post_heartbeats(self, address: str, token: str, batch: Batch) -> Reply:
        """Raises ServiceError too for an answer that is not one of ours (a captive portal's, say)."""
        response, content = self._send(
            "POST", address, batch.body, compressed=batch.compressed, auth=_device(token)
        )
        if response.status_code != 202:
            raise ServiceError(
                f"{address} answered {response.status_code}, not 202", status=response.status_code
            )
        return _reply(_object(content, address), batch.epoch)

    def _ask(
        self, method: str, url: str, body: dict[str, Any], auth: AuthBase | None = None
    ) -> dict[str, Any]:
        content = json.dumps(body, ensure_ascii=False).encode()
        return _object(self._send(method, url, content, auth=auth)[1], url)

    def _send(
        self, method: str, url: str, body: bytes, *, auth: AuthBase | None, compressed: bool = False
    ) -> tuple[requests.Response, bytes]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if compressed:
            headers["Content-Encoding"] = "gzip"
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                auth=auth or _Authorization(),
                timeout=(CONNECT_S, READ_S),
                allow_redirects=False,  # the token is for this address alone
                stream=True,
            ) as response:
                content = response.raw.read(_LARGEST_ANSWER + 1, decode_content=True)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise NoAnswer(f"no answer from {url}: {_reason(error)}") from None
        finally:
            self._session.cookies.clear()
        if not 200 <= response.status_code < 300:
            raise _failure(response, content)
        return response, content


class _Authorization(AuthBase):
    """Sets the header itself: left to requests, an entry of ~/.netrc would replace it."""

    def __init__(self, scheme: str = "", secret: str = "") -> None:
        self._value = f"{scheme} {secret}" if scheme else ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


def _device(token: str) -> _Authorization:
    return _Authorization("Device", token)


def api_address(url: str) -> str:
    """The device API of the service at `url`, as a person types it. Raises AgentError if it is no address."""
    parts = _web_address(url)
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path.removesuffix(_API)}{_API}"


def heartbeat_address(api: str, told: object) -> str:
    """Where heartbeats go: what enrollment told (the full address or its base), else beside the API.

    Raises AgentError if the service would have the token sent unencrypted although it was enrolled over TLS.
    """
    if not isinstance(told, str) or not told:
        return f"{api}/heartbeats"
    parts = _web_address(told)
    if api.startswith("https:") and parts.scheme != "https":
        raise AgentError(f"the service wants heartbeats sent unencrypted to {told}; not done")
    return told if parts.path.endswith("/heartbeats") else f"{api_address(told)}/heartbeats"


def _web_address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not match
        known = False
    if not known or "@" in parts.netloc:
        raise AgentError(f"{url!r} is not an address like https://greenroom.example.com")
    return parts


def _reply(answer: dict[str, Any], epoch: str) -> Reply:
    committed = answer.get("committed")
    whole = isinstance(committed, int) and not isinstance(committed, bool) and committed >= 0
    if answer.get("epoch") != epoch or not (committed is None or whole):
        raise ServiceError("the service's answer to the heartbeats makes no sense")
    return Reply(
        committed=committed,
        server_time=_time(answer.get("server_time")),
        next_in_s=seconds(answer.get("next_in")),
        rotate=answer["rotate"] if isinstance(answer.get("rotate"), str) else "",
        inventory_wanted=answer.get("inventory_wanted") is True,
        expected=clean_counts(answer["expected"]) if isinstance(answer.get("expected"), dict) else None,
    )


def seconds(value: object) -> float | None:
    """A sensible interval, None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 86400:
        return float(value)
    return None


def _time(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _credential(answer: dict[str, Any]) -> Credential:
    return Credential(_text(answer, "token"), str(answer.get("expires_at", "")))


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ServiceError(f"the service's answer lacks {name!r}")
    return value


def _object(content: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ServiceError(f"{url} does not answer like a Greenroom service")
    return found


def _failure(response: requests.Response, content: bytes) -> ServiceError:
    status = response.status_code
    try:
        problem = json.loads(content)
    except ValueError:
        problem = None
    said = problem if isinstance(problem, dict) else {}
    reason = " ".join(str(said.get("detail") or said.get("title") or response.reason).split())[:300]
    if status == 401:
        kind = Revoked if said.get("code") == "revoked" else Unauthorized
        return kind(reason, status=status)
    if status in (400, 413, 422):
        return Refused(reason, status=status)
    if 300 <= status < 400:
        reason = f"it redirects to {response.headers.get('Location')}; give that address instead"
    wait = _retry_after(response.headers.get("Retry-After"))
    return ServiceError(f"{response.url} answered {status}: {reason}", status=status, retry_after_s=wait)


def _retry_after(value: str | None) -> float | None:
    """Seconds, or a date (RFC 9110 section 10.2.3)."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _reason(error: BaseException) -> str:
    """The innermost plain reason: requests wraps it three times."""
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "it takes too long"
    seen: BaseException | None = error
    reason = type(error).__name__
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            reason = seen.strerror
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__ or seen.__context__
    return reason
