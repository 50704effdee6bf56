"""A pytest plugin, loaded before Django: gives this process a database and a Redis of its own.

PostgreSQL and Valkey run once for all test processes. A template database is migrated as owner whenever the
migrations change; each process works in a clone of it, connected as the app and sweep roles like the product.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg2
from psycopg2 import sql

from foundation.embedded import Services, services

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
HOME = CACHE / "test-services"
ALSO = (  # tables of others, their migrations; rows that migrating puts in
    *(ROOT / "portal" / "apps.py", ROOT / "requirements.lock"),
    *sorted([*ROOT.glob("fleet/catalog_data/*.csv"), *ROOT.glob("fleet/catalog*.py")]),
)
ROLES = {
    "DATABASE_URL": "greenroom_app",
    "GREENROOM_OWNER_DATABASE_URL": "greenroom_owner",
    "GREENROOM_SWEEP_DATABASE_URL": "greenroom_sweep",
}


def _execute(running: Services, statement: sql.Composable) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(running.superuser_url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def _create(running: Services, name: str, template: str) -> None:
    _execute(
        running,
        sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER greenroom_owner").format(
            sql.Identifier(name), sql.Identifier(template)
        ),
    )


def _drop(running: Services, name: str) -> None:
    _execute(running, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _databases(running: Services) -> set[str]:
    return {str(name) for (name,) in _execute(running, sql.SQL("SELECT datname FROM pg_database"))}


def _template(running: Services) -> str:
    """The name of a database migrated with the migrations as they are now."""
    digest = hashlib.sha256()
    for path in sorted([*ROOT.glob("*/migrations/*.py"), *ROOT.glob("foundation/tenant_tables/*.py"), *ALSO]):
        digest.update(path.read_bytes())
    name = f"template_{digest.hexdigest()[:12]}"
    with (CACHE / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if name in _databases(running):
            return name
        fresh = f"{name}_new"
        _drop(running, fresh)
        _create(running, fresh, "template1")
        _execute(
            running, sql.SQL("GRANT ALL ON DATABASE {} TO greenroom_owner").format(sql.Identifier(fresh))
        )
        subprocess.run(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "django",
                "migrate",
                "--database",
                "owner",
                "--verbosity",
                "0",
            ],
            cwd=ROOT,
            env={**os.environ, **addresses(running, fresh), "DJANGO_SETTINGS_MODULE": "portal.settings"},
            check=True,
        )
        _execute(
            running, sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*map(sql.Identifier, (fresh, name)))
        )
        return name


def addresses(running: Services, database: str, redis_database: int = 0) -> dict[str, str]:
    """The product's four addresses, pointing at `database`."""
    given = running.environment()
    urls = {name: re.sub(r"/[^/]*$", f"/{database}", given[name]) for name in ROLES}
    redis = given["REDIS_URL"].rsplit("/", 1)[0]
    return {
        **urls,
        "REDIS_URL": f"{redis}/{2 * redis_database}",
        "GREENROOM_CACHE_URL": f"{redis}/{2 * redis_database + 1}",
    }


def _give_this_process_its_own() -> None:
    CACHE.mkdir(exist_ok=True)
    running = services(HOME, durable=False)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    number = 0 if worker == "main" else 1 + int(worker.removeprefix("gw")) % 7
    name = f"test_{worker}_{os.getpid()}"
    os.environ.setdefault("GREENROOM_HOME", str(CACHE / "home"))
    _create(running, name, _template(running))
    atexit.register(_drop, running, name)
    os.environ.update(addresses(running, name, number))


_give_this_process_its_own()
