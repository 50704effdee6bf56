"""Releases with their files, rings, rollouts with their targets and attempts, and what devices' update clients told."""

from updates.models.clients import ActionNumber, AttemptReport, UpdateClient
from updates.models.releases import Artifact, Release
from updates.models.rings import InstallWindowSetting, Ring, RingMembership
from updates.models.rollouts import Attempt, Rollout, RolloutGate, RolloutStage, RolloutTarget
from updates.models.spread import VersionDay

__all__ = [
    "ActionNumber",
    "Artifact",
    "Attempt",
    "AttemptReport",
    "InstallWindowSetting",
    "Release",
    "Ring",
    "RingMembership",
    "Rollout",
    "RolloutGate",
    "RolloutStage",
    "RolloutTarget",
    "UpdateClient",
    "VersionDay",
]
