"""Which function carries out which kind of later work. Kinds register here by name, so the ground knows none of them."""

from __future__ import annotations

from foundation.jobs import Step
from foundation.outbox import Sender
from foundation.timers import Handler, Together

SENDERS: dict[str, Sender] = {}
JOB_STEPS: dict[str, Step] = {}
TIMERS: dict[str, Handler] = {}
TIMERS_TOGETHER: dict[str, Together] = {}  # of the same kinds, where many at once cost less
