"""What updates refuse, named for the fact."""

from __future__ import annotations

from foundation.errors import Conflict, NotValid


class NotNow(Conflict):
    """The state of the rollout, ring or room forbids it."""

    code = "not_now"


class TooManyDays(NotValid):
    """All rings together would take longer than an update may."""

    code = "too_many_days"


class ReleaseDeprecated(Conflict):
    """A release that was superseded or withdrawn goes to no further room."""

    code = "release_deprecated"


class NoFile(Conflict):
    """The release has no file yet, so there is nothing to install."""

    code = "no_file"


class QuotaReached(Conflict):
    """A device told more about one attempt than is kept."""

    code = "quota_reached"


class AttemptEnded(Conflict):
    """A report about an attempt that is over."""

    code = "attempt_ended"
