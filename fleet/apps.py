from typing import ClassVar

from django.apps import AppConfig


class FleetConfig(AppConfig):
    name = "fleet"
    default_auto_field = "django.db.models.BigAutoField"
    sql_tables: ClassVar[dict[str, str]] = {
        "fleet_watermark": "up to where each epoch of a device is stored, when it was heard and is due",
        "fleet_point": "one row a heartbeat, 48 hours",
        "fleet_rollup": "an hour of a device in figures of five minutes, 90 days",
        "fleet_rollup_day": "a day of a device in figures, 400 days",
        "fleet_rollup_due": "hours and days whose rollup is to be computed",
        "fleet_kept_apart": "heartbeats of suspected copies and devices waiting for a person, 30 days",
    }
    third_party_tables: ClassVar[dict[str, str]] = {"fleet_drain": "local"}  # ours, without a model
