"""Why a device is left out, waits, was skipped or failed: the words kept, and what they say to people."""

from __future__ import annotations

SENTENCES = {
    # Left out when the rollout was planned
    "already_current": "Runs this version already",
    "runs_newer": "Runs a newer version",
    "version_too_old": "Runs a version too old to install over",
    "version_too_new": "Runs a version this is not for",
    "version_unknown": "Does not tell which version it runs",
    "not_watched": "Is not watched yet",
    "no_room": "Is in no room",
    "ring_left_out": "Its ring is not part of this rollout",
    "installs_too": "Its update client cannot only download",
    # Waits
    "ring_not_reached": "Its ring has not begun",
    "night_not_come": "Its night has not come",
    "outside_window": "Outside its install hours",
    "silent": "Not heard from",
    "in_meeting": "In a meeting",
    "disk_space": "Too little disk space",
    "wu_disabled": "System updates are turned off",
    "wu_blocked": "Update servers cannot be reached",
    "wsus_enabled": "System updates are redirected",
    "wu_components": "Update components need a reset",
    "other_update": "Another update of the room first",
    "building_limit": "Enough rooms of its building at a time",
    "model_limit": "Enough rooms of its model at a time",
    "at_once": "Enough rooms at a time",
    "paused": "The rollout is paused",
    # Skipped
    "cancelled": "The rollout was cancelled",
    "deprecated": "The release is deprecated",
    "unreachable": "Could not be reached on its nights",
    "retired": "Is no longer in use",
    # Failed
    "device_failed": "The device could not install it",
    "never_returned": "Did not come back after the update",
    "wrong_version": "Came back with another version",
    "unhealthy": "Is not healthy since the update",
    "never_began": "Did not begin on three nights",
    "never_finished": "Did not finish on three nights",
    "clock_wrong": "Its clock is wrong",
}


def sentence(reason: str) -> str:
    return SENTENCES.get(reason, reason.replace("_", " ").capitalize())
