#!/bin/sh
# Runs once, when the database is made: our three roles and their database. None is superuser, none may pass
# row-level security, none is a member of another.
set -eu
psql --username "${POSTGRES_USER:-postgres}" --dbname postgres --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
    --set owner="$GREENROOM_OWNER_PASSWORD" --set app="$GREENROOM_APP_PASSWORD" --set sweep="$GREENROOM_SWEEP_PASSWORD" <<'SQL'
CREATE ROLE greenroom_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT PASSWORD :'owner';
CREATE ROLE greenroom_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT PASSWORD :'app';
CREATE ROLE greenroom_sweep LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT PASSWORD :'sweep';
CREATE DATABASE greenroom OWNER greenroom_owner;
REVOKE ALL ON DATABASE greenroom FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE greenroom TO greenroom_app;
GRANT CONNECT ON DATABASE greenroom TO greenroom_sweep;
SQL
