"""How long to wait after a failure."""

import random

FIRST_S = 5.0
LONGEST_S = 600.0
LONGEST_ASKED_S = 3600.0  # a service may ask for more patience than we would have, but not for a day's


class Backoff:
    """Full jitter: each wait is drawn evenly from nothing to a limit that doubles up to 10 minutes.

    So a fleet that lost its service together comes back spread out
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    def __init__(self, source: random.Random | None = None) -> None:
        self._random = source or random.Random()  # noqa: S311 spreads load, keeps no secret
        self._failures = 0

    @property
    def failures(self) -> int:
        """In a row, until now."""
        return self._failures

    def failed(self, retry_after_s: float | None = None) -> float:
        """Seconds to wait after one more failure; never less than the service asked for."""
        limit = min(LONGEST_S, FIRST_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        wait = self._random.uniform(0, limit)
        return wait if retry_after_s is None else max(wait, min(retry_after_s, LONGEST_ASKED_S))

    def succeeded(self) -> None:
        self._failures = 0
