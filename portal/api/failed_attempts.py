"""How often one network address may fail to get in: ten times a minute. Who succeeds is never held up.

Counted in Redis for all processes together, in this process while Redis is away.
"""

from __future__ import annotations

import logging
import math
import time
from functools import lru_cache

import redis
from django.conf import settings

from portal.limits import source_of

EVERY_S = 6.0  # ten a minute
BURST = 10
_MOST_ADDRESSES = 10_000
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local paid_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + ARGV[1]
local late = paid_at - now - ARGV[1] * ARGV[2]
if late > 0 then return math.ceil(late) end
redis.call('SET', KEYS[1], string.format('%.6f', paid_at), 'PX', math.ceil((paid_at - now) * 1000) + 1)
return 0
"""

log = logging.getLogger(__name__)
_here: dict[str, float] = {}  # source: the moment its failures are paid off, of the monotonic clock


def note_failure(address: str | None) -> int:
    """Count one failure of an address. 0, or the seconds to wait where it is one too many."""
    source = source_of(address)
    try:
        return int(_counted()(keys=[f"failed:{source}"], args=[EVERY_S, BURST]))
    except redis.RedisError as error:
        log.warning("Failed attempts are counted in this process only: %s", error)
        return _note_here(source, time.monotonic())


def _note_here(source: str, mono_s: float) -> int:
    if len(_here) > _MOST_ADDRESSES:
        for each in [each for each, paid_at in _here.items() if paid_at <= mono_s] or list(_here):
            del _here[each]
    paid_at = max(_here.get(source, 0.0), mono_s) + EVERY_S
    late = paid_at - mono_s - EVERY_S * BURST
    if late > 0:
        return math.ceil(late)
    _here[source] = paid_at
    return 0


@lru_cache(maxsize=1)
def _counted() -> redis.commands.core.Script:
    client = redis.Redis.from_url(
        settings.CACHES["default"]["LOCATION"], socket_connect_timeout=0.3, socket_timeout=0.3
    )
    return client.register_script(_SCRIPT)
