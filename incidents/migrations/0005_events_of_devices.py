from datetime import UTC, datetime

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("fleet", "0005_faults"),
        ("incidents", "0004_entry_kinds"),
    ]

    operations = [
        migrations.AddField(
            model_name="roomevent",
            name="received_at",
            field=models.DateTimeField(default=datetime(2026, 1, 1, tzinfo=UTC)),  # there are no rows yet
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="roomevent",
            name="uid",
            field=models.CharField(blank=True, default="", max_length=64),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="roomevent",
            name="kind",
            field=models.CharField(
                choices=[
                    ("poor_call", "Poor call"),
                    ("room_report", "Report from the room"),
                    ("app_restart", "Meeting app restarted"),
                    ("other", "Other"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddIndex(
            model_name="roomevent",
            index=models.Index(
                condition=models.Q(("device__isnull", False)),
                fields=["tenant", "device", "received_at"],
                name="incidents_event_device",
            ),
        ),
        migrations.AddConstraint(
            model_name="roomevent",
            constraint=models.UniqueConstraint(
                condition=models.Q(("uid", ""), _negated=True),
                fields=("tenant", "device", "uid"),
                name="incidents_event_once",
            ),
        ),
    ]
