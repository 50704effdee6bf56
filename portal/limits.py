"""How often somebody may do something: buckets in Redis for all processes, in this one while Redis is away."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

import redis
from django.conf import settings

MOST_KEYS_HERE = 10_000
REST_AFTER_FAILURE_S = 5.0  # Redis is not asked again before: each try costs up to its timeout
TIMEOUT_S = 0.3
IPV6_HOUSEHOLD = 64  # bits that name one network
# A bucket is the moment it is full again (GCRA). All are asked first: one that refuses leaves the others as they are.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local wait, paid = 0, {}
for i = 1, #KEYS do
  local every, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  paid[i] = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + every
  wait = math.max(wait, paid[i] - now - every * burst)
end
if wait > 0 then return math.ceil(wait) end
for i = 1, #KEYS do
  redis.call('SET', KEYS[i], string.format('%.6f', paid[i]), 'PX', math.ceil((paid[i] - now) * 1000) + 1)
end
return 0
"""

log = logging.getLogger(__name__)
_here: dict[str, float] = {}  # key: the moment its bucket is full again, of the monotonic clock
_asked_again_at = 0.0


@dataclass(frozen=True)
class Bucket:
    """At most `burst` at once, and one more every `every_s` seconds."""

    key: str
    every_s: float
    burst: int


def per_minute(key: str, number: int) -> Bucket:
    return Bucket(key, 60 / number, number)


def take(*buckets: Bucket) -> int:
    """Take one from each bucket, or from none: 0, or the seconds to wait."""
    global _asked_again_at
    at = time.monotonic()
    if at >= _asked_again_at:
        try:
            return _take_from_redis(buckets)
        except redis.RedisError as error:
            _asked_again_at = at + REST_AFTER_FAILURE_S
            log.warning("Limits are counted in this process only: %s", error)
    return take_here(buckets, at)


def _take_from_redis(buckets: tuple[Bucket, ...]) -> int:
    arguments: list[float] = []
    for each in buckets:
        arguments += [each.every_s, each.burst]
    return int(_script()(keys=[f"limit:{each.key}" for each in buckets], args=arguments))


def take_here(buckets: tuple[Bucket, ...], mono_s: float) -> int:
    """As `take`, counted in this process, at `mono_s` of the monotonic clock."""
    if len(_here) > MOST_KEYS_HERE:
        for key in [key for key, full_at in _here.items() if full_at <= mono_s] or list(_here):
            del _here[key]
    paid = {each.key: max(_here.get(each.key, 0.0), mono_s) + each.every_s for each in buckets}
    late = max((paid[each.key] - mono_s - each.every_s * each.burst for each in buckets), default=0.0)
    if late > 0:
        return math.ceil(late)
    _here.update(paid)
    return 0


@lru_cache(maxsize=1)
def _script() -> redis.commands.core.Script:
    client = redis.Redis.from_url(
        settings.CACHES["default"]["LOCATION"],
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
    )
    return client.register_script(_SCRIPT)


def source_of(address: str | None) -> str:
    """What counts as one source: an IPv4 address, an IPv6 network of 64 bits."""
    if address is None:
        return "unknown"
    where = ip_address(address)
    if isinstance(where, IPv6Address):
        return str(where.ipv4_mapped or ip_network(f"{where}/{IPV6_HOUSEHOLD}", strict=False))
    return str(where)
