"""What goes wrong while the embedded services start, said in one line a person can act on."""

import errno
from pathlib import Path


class ServicesUnavailable(Exception):
    """The embedded services cannot be started or reached; the message is one line for the person at the terminal."""


_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EEXIST: "a file of that name is in the way",
}


def unusable(home: Path, error: OSError) -> ServicesUnavailable:
    """The one line for a home that cannot be written (full, read-only, foreign, not a directory)."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return ServicesUnavailable(f"GREENROOM_HOME {home} cannot be used: {reason}.")
