import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models

import foundation.tenant_tables.fields
from foundation.tenant_tables.operations import TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("enrollment", "0001_initial"),
        ("fleet", "0001_initial"),
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="devicecredential",
            name="superseded_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunSQL(
            'GRANT SELECT (superseded_at) ON "enrollment_devicecredential" TO greenroom_sweep',
            'REVOKE SELECT (superseded_at) ON "enrollment_devicecredential" FROM greenroom_sweep',
        ),
        migrations.AddIndex(
            model_name="devicecredential",
            index=models.Index(fields=["device"], name="enrollment_credential_whose"),
        ),
        migrations.AddIndex(
            model_name="devicecredential",
            index=models.Index(fields=["tenant", "public_key"], name="enrollment_credential_key"),
        ),
        migrations.CreateModel(
            name="HardwareFact",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("fact", models.CharField(max_length=80)),
                (
                    "device",
                    foundation.tenant_tables.fields.TenantForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hardware_facts",
                        to="fleet.device",
                    ),
                ),
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
                "indexes": [models.Index(fields=["tenant", "device"], name="enrollment_hardware_device")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "fact", "device"), name="enrollment_hardware_fact_once"
                    )
                ],
            },
        ),
        TenantTable("HardwareFact"),
    ]
