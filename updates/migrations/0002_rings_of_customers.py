"""Customers that were there before there were rings get theirs. Tenant by tenant, in context."""

from django.db import migrations

FORWARD = """
DO $$
DECLARE
    owner record;
BEGIN
    FOR owner IN SELECT id FROM tenancy_tenant WHERE kind = 'customer' LOOP
        EXECUTE format('SET LOCAL app.tenants = %L', '{' || owner.id || '}');
        INSERT INTO updates_ring (id, tenant_id, kind, name, description, position, rollout_days, test_days,
                                  needs_approval, at_once, failure_limit_pct, revision, created_at)
        SELECT gen_random_uuid(), owner.id, kind, name, description, position, rollout_days, 5, approval, 10, 5, 1, now()
        FROM (VALUES
            ('staging', 'Staging', 'A test bed with every kind of hardware.', 1, 1, false),
            ('general', 'General', 'Every room without another ring.', 5, 5, false),
            ('executive', 'Executive', 'High-profile rooms, last.', 9, 2, true)
        ) AS built_in (kind, name, description, position, rollout_days, approval)
        ON CONFLICT DO NOTHING;
    END LOOP;
    SET LOCAL app.tenants = '';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("updates", "0001_releases_rings_and_rollouts")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
