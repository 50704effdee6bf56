"""Telemetry: tables that SQL alone writes, without a model. Points and rollups are partitioned by day."""

from django.db import migrations

from foundation.tenant_tables.operations import wall_statements

# Up to where each epoch of a device is in PostgreSQL, when it was last heard and when it must be heard again.
# One narrow row a device, rewritten at every heartbeat: room on its page and no index on what changes keep that
# cheap, so the sweep for overdue devices scans it.
WATERMARK = """
CREATE TABLE fleet_watermark (
    tenant_id uuid NOT NULL,
    device_key bigint NOT NULL,
    seq bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    due_at timestamptz,
    digest bigint,
    lost bigint NOT NULL DEFAULT 0,
    suspected_at timestamptz,
    epoch text NOT NULL,
    PRIMARY KEY (tenant_id, device_key, epoch)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)
"""

# One heartbeat. Bits of a signal and scales of the figures: fleet.telemetry_form.
POINT = """
CREATE TABLE fleet_point (
    tenant_id uuid NOT NULL,
    device_key bigint NOT NULL,
    "time" timestamptz NOT NULL,
    healthy bigint,
    unhealthy bigint,
    cpu smallint,
    mem smallint,
    disk smallint,
    rtt smallint,
    loss smallint,
    temp smallint,
    "usage" smallint,
    PRIMARY KEY (tenant_id, device_key, "time")
) PARTITION BY RANGE ("time")
"""

# One hour of a device: a line of figures for each of its five minutes that has any. `late` holds what arrived after
# the hour's points could be gone; it is added to, `figures` is computed anew from the points.
ROLLUP = """
CREATE TABLE fleet_rollup (
    tenant_id uuid NOT NULL,
    device_key bigint NOT NULL,
    "time" timestamptz NOT NULL,
    figures smallint[],
    late smallint[],
    PRIMARY KEY (tenant_id, device_key, "time")
) PARTITION BY RANGE ("time")
"""

# One UTC day of a device: the same figures over the whole day.
ROLLUP_DAY = """
CREATE TABLE fleet_rollup_day (
    tenant_id uuid NOT NULL,
    device_key bigint NOT NULL,
    day date NOT NULL,
    beats integer NOT NULL,
    meeting_beats integer NOT NULL,
    people smallint,
    figures smallint[] NOT NULL,
    PRIMARY KEY (tenant_id, device_key, day)
)
"""

# Hours (and whole days) whose rollup is to be computed (again): of one device, or of all with device_key 0.
ROLLUP_DUE = """
CREATE TABLE fleet_rollup_due (
    tenant_id uuid NOT NULL,
    starts timestamptz NOT NULL,
    whole_day boolean NOT NULL DEFAULT false,
    device_key bigint NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, starts, whole_day, device_key)
) WITH (fillfactor = 50)
"""

# Heartbeats of devices suspected to be copies, or waiting for a person: kept apart from everything else.
KEPT_APART = """
CREATE TABLE fleet_kept_apart (
    tenant_id uuid NOT NULL,
    device_key bigint NOT NULL,
    "time" timestamptz NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    item jsonb NOT NULL,
    PRIMARY KEY (tenant_id, device_key, "time", epoch, seq)
) PARTITION BY RANGE ("time")
"""

# Up to when the heartbeats of a stream are in PostgreSQL: what still waits in it is no silence. Local.
DRAIN = """
CREATE TABLE fleet_drain (
    shard smallint PRIMARY KEY,
    drained_until timestamptz NOT NULL
)
"""

TABLES = {
    "fleet_watermark": WATERMARK,
    "fleet_point": POINT,
    "fleet_rollup": ROLLUP,
    "fleet_rollup_day": ROLLUP_DAY,
    "fleet_rollup_due": ROLLUP_DUE,
    "fleet_kept_apart": KEPT_APART,
}
SWEEP = {
    "fleet_watermark": ("tenant_id", "device_key", "due_at"),
    "fleet_rollup_due": ("tenant_id", "due_at"),
}
KEEP_DAYS = {"fleet_point": 2, "fleet_rollup": 90, "fleet_kept_apart": 30}


def forward() -> list[str]:
    statements = [DRAIN, "GRANT SELECT, INSERT, UPDATE, DELETE ON fleet_drain TO greenroom_app"]
    for table, create in TABLES.items():
        statements += [create, *wall_statements(table, sweep=SWEEP.get(table, ()))]
    for table, keep_days in KEEP_DAYS.items():
        statements += [
            f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT",
            f"INSERT INTO foundation_partitioned VALUES ('{table}', 'time', {keep_days})",  # noqa: S608 - ours
            f"SELECT foundation_make_partition('{table}', (now() AT TIME ZONE 'UTC')::date + ahead) "
            f"FROM generate_series(-{min(keep_days, 8)}, 3) AS ahead",  # spools hold up to a week
        ]
    # Its rows are rewritten in place every few minutes: that needs room on the page.
    return [*statements, "ALTER TABLE fleet_device SET (fillfactor = 80)"]


def backward() -> list[str]:
    listed = ", ".join(f"'{table}'" for table in KEEP_DAYS)
    return [
        f"DELETE FROM foundation_partitioned WHERE parent IN ({listed})",
        *(f"DROP TABLE {table}" for table in reversed(TABLES)),
        "DROP TABLE fleet_drain",
        "ALTER TABLE fleet_device RESET (fillfactor)",
    ]


class Migration(migrations.Migration):
    dependencies = [("fleet", "0001_initial"), ("foundation", "0002_partitions")]
    operations = [migrations.RunSQL(forward(), backward())]
