from datetime import date

from django.db import migrations, models

SOURCE = "https://learn.microsoft.com/microsoftteams/rooms/rooms-release-note"
RELEASES = [
    ("5.0.305.0", date(2024, 6, 3)),
    ("5.0.230.0", date(2024, 5, 23)),
    ("5.0.111.0", date(2024, 4, 24)),
    ("4.19.82.0", date(2024, 1, 31)),
    ("4.19.57.0", date(2023, 11, 16)),
    ("4.18.44.0", date(2023, 9, 20)),
    ("4.18.35.0", date(2023, 8, 21)),
    ("4.17.51.0", date(2023, 6, 28)),
    ("4.16.40.0", date(2023, 3, 24)),
]
PRODUCT = "teams_rooms_windows"


def add(apps, schema_editor):
    apps.get_model("incidents", "KnownRelease").objects.using(schema_editor.connection.alias).bulk_create(
        [
            apps.get_model("incidents", "KnownRelease")(
                product=PRODUCT, version=version, released_at=released_at, source=SOURCE
            )
            for version, released_at in RELEASES
        ],
        ignore_conflicts=True,
    )


def remove(apps, schema_editor):
    rows = apps.get_model("incidents", "KnownRelease").objects.using(schema_editor.connection.alias)
    rows.filter(product=PRODUCT, source=SOURCE).delete()


class Migration(migrations.Migration):
    dependencies = [("incidents", "0005_events_of_devices")]

    operations = [
        migrations.AddField(
            model_name="knownrelease",
            name="source",
            field=models.CharField(default="", max_length=300),
            preserve_default=False,
        ),
        migrations.RunPython(add, remove),
    ]
