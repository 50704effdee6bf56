"""Partitions by day: a closed list of parents and two functions of the owner, the only way to make or drop one."""

from django.db import migrations

FORWARD = """
CREATE TABLE foundation_partitioned (
    parent text PRIMARY KEY,
    bound_by text NOT NULL CHECK (bound_by IN ('uuid7', 'time')),
    keep_days integer NOT NULL CHECK (keep_days > 0)
);
GRANT SELECT ON foundation_partitioned TO greenroom_app;

CREATE FUNCTION foundation_uuid7_bound(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;

CREATE FUNCTION foundation_make_partition(wanted text, day date) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    listed public.foundation_partitioned;
    child text := wanted || '_' || to_char(day, 'YYYYMMDD');
    starts timestamptz := day::timestamp AT TIME ZONE 'UTC';
    ends timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    SELECT * INTO listed FROM public.foundation_partitioned WHERE parent = wanted;
    IF listed IS NULL THEN
        RAISE EXCEPTION '% is not partitioned', wanted USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF to_regclass('public.' || quote_ident(child)) IS NOT NULL THEN
        RETURN false;
    END IF;
    IF listed.bound_by = 'uuid7' THEN
        EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
            child, wanted, public.foundation_uuid7_bound(starts), public.foundation_uuid7_bound(ends));
    ELSE
        EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
            child, wanted, starts, ends);
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION foundation_drop_partitions(wanted text, today date) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    listed public.foundation_partitioned;
    child record;
    dropped integer := 0;
BEGIN
    SELECT * INTO listed FROM public.foundation_partitioned WHERE parent = wanted;
    IF listed IS NULL THEN
        RAISE EXCEPTION '% is not partitioned', wanted USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR child IN
        SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = ('public.' || quote_ident(wanted))::regclass AND c.relname ~ '_[0-9]{8}$'
    LOOP
        IF to_date(right(child.name, 8), 'YYYYMMDD') < today - listed.keep_days THEN
            EXECUTE format('DROP TABLE public.%I', child.name);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;

CREATE FUNCTION foundation_default_has_rows(wanted text) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    has_rows boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM public.foundation_partitioned WHERE parent = wanted) THEN
        RAISE EXCEPTION '% is not partitioned', wanted USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', wanted || '_default') INTO has_rows;
    RETURN has_rows;
END $$;

REVOKE ALL ON FUNCTION foundation_make_partition(text, date), foundation_drop_partitions(text, date),
    foundation_default_has_rows(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION foundation_make_partition(text, date), foundation_drop_partitions(text, date),
    foundation_default_has_rows(text) TO greenroom_app;
INSERT INTO foundation_partitioned VALUES ('tenancy_auditevent', 'uuid7', 400);
"""
BACKWARD = """
DROP FUNCTION foundation_make_partition(text, date);
DROP FUNCTION foundation_drop_partitions(text, date);
DROP FUNCTION foundation_default_has_rows(text);
DROP FUNCTION foundation_uuid7_bound(timestamptz);
DROP TABLE foundation_partitioned;
"""


class Migration(migrations.Migration):
    dependencies = [("foundation", "0001_initial"), ("tenancy", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
