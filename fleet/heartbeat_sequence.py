"""Which heartbeats are stored, told by their numbers alone (architecture §2.3). Pure."""

from __future__ import annotations


def follows(stored: int, seq: int, lowest_held: int | None) -> bool:
    """Whether the item `seq` may be stored when everything up to `stored` is.

    It must follow the last stored one, or everything between must lie below `lowest_held`, the lowest number the
    device still has: then it is lost for good, a true gap. Else it is on its way, and storing `seq` first would
    make `committed` tell the device to delete it. Who says nothing about what it holds is taken as it comes.
    """
    return seq > stored and (seq == stored + 1 or lowest_held is None or lowest_held >= seq)


def lost(stored: int, seq: int, lowest_held: int | None) -> int:
    """How many items between the last stored one and `seq`, which follows, will never come. Unknown counts as none."""
    return 0 if lowest_held is None else seq - stored - 1
