import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models

import foundation.tenant_tables.fields
from foundation.tenant_tables.operations import TenantTable


class Migration(migrations.Migration):
    dependencies = [("fleet", "0002_telemetry")]

    operations = [
        migrations.CreateModel(
            name="ClosedDay",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("time_zone", models.CharField(max_length=64)),
                ("day", models.DateField()),
                (
                    "tenant",
                    foundation.tenant_tables.fields.TenantField(
                        on_delete=django.db.models.deletion.PROTECT, to="tenancy.tenant"
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "time_zone"), name="fleet_closed_day_once")
                ],
            },
        ),
        TenantTable("ClosedDay", sweep=("tenant_id", "time_zone", "day")),
        migrations.RemoveIndex(model_name="roomword", name="fleet_room_word_room"),
        migrations.AddIndex(
            model_name="roomword",
            index=models.Index(fields=["tenant", "room", "word"], name="fleet_room_word_of_room"),
        ),
    ]
