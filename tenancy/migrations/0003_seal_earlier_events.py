"""Events written before there was a chain wait for their seal like any other. Tenant by tenant, in context."""

from django.db import migrations

FORWARD = """
DO $$
DECLARE
    owner record;
BEGIN
    FOR owner IN SELECT id FROM tenancy_tenant LOOP
        EXECUTE format('SET LOCAL app.tenants = %L', '{' || owner.id || '}');
        INSERT INTO tenancy_auditpending (id, tenant_id, at)
            SELECT id, tenant_id, at FROM tenancy_auditevent WHERE tenant_id = owner.id ON CONFLICT DO NOTHING;
    END LOOP;
    SET LOCAL app.tenants = '';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0002_people_and_audit_seal")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
