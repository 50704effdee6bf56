from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0003_closed_days")]

    operations = [
        migrations.AddIndex(
            model_name="room",
            index=models.Index(
                condition=models.Q(("retired_at", None)),
                fields=["tenant", "name", "id"],
                include=["state", "place"],
                name="fleet_room_list",
            ),
        ),
        migrations.RemoveIndex(model_name="room", name="fleet_room_name"),
    ]
