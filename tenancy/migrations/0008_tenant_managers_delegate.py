"""Tenant Managers of operators that are there already get what the role is for. Tenant by tenant, in context."""

from django.db import migrations

FORWARD = """
DO $$
DECLARE
    owner record;
BEGIN
    FOR owner IN SELECT id FROM tenancy_tenant WHERE kind = 'operator' LOOP
        EXECUTE format('SET LOCAL app.tenants = %L', '{' || owner.id || '}');
        UPDATE tenancy_role SET permissions = '["tenants.delegate"]'
            WHERE tenant_id = owner.id AND key = 'tenant_manager' AND built_in;
    END LOOP;
    SET LOCAL app.tenants = '';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0007_groups_and_blocks")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
