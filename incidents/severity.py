"""Severities, most severe first."""

from django.db import models


class Severity(models.IntegerChoices):
    CRITICAL = 1, "Critical"
    IMPORTANT = 2, "Important"
    WARNING = 3, "Warning"
    RECOMMENDED = 4, "Recommended"

    @property
    def makes_unhealthy(self) -> bool:
        """Only Critical and Important change a room's health (domain, health rules)."""
        return self <= Severity.IMPORTANT
