"""Dockerfile, docker-compose.yml and what they mount: checked as files, and the role script against PostgreSQL."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import yaml
from django.core.management import get_commands

from foundation.embedded.home import Home
from foundation.embedded.postgres import Postgres, installation
from foundation.embedded.privilege import choose
from portal.supervisor import programs
from workers import queues

ROOT = Path(__file__).parents[2]
OURS = ("web", "ingest", "drain", "worker", "scheduler", "migrate")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def test_every_command_is_one_of_manage_py(services):
    commands = get_commands()
    called = {name: services[name]["command"][0] for name in OURS}
    assert called == {**{name: name for name in OURS}, "drain": "worker"}
    assert set(called.values()) <= set(commands)
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["python", "manage.py"]' in dockerfile
    assert re.search(r'^CMD \["web"\]$', dockerfile, re.MULTILINE)


def test_every_queue_has_a_worker_and_heartbeats_one_of_their_own(services):
    served = [services[name]["command"] for name in ("drain", "worker")]
    names = [word for command in served for word in command if word in queues.ALL]
    assert sorted(names) == sorted(queues.ALL)
    assert served[0][1:3] == ["--queues", queues.INGEST]
    assert programs.HEARTBEATS == (queues.INGEST,)
    assert sorted([*programs.HEARTBEATS, *programs.EVERYTHING_ELSE]) == sorted(queues.ALL)


@pytest.mark.parametrize("name", OURS)
def test_each_role_has_its_own_address(services, name):
    given = services[name]["environment"]
    users = {
        variable: urlsplit(re.sub(r"\$\{[^}]*\}", "x", given[variable])).username
        for variable in ("DATABASE_URL", "GREENROOM_OWNER_DATABASE_URL", "GREENROOM_SWEEP_DATABASE_URL")
    }
    assert users == {
        "DATABASE_URL": "greenroom_app",
        "GREENROOM_OWNER_DATABASE_URL": "greenroom_owner",
        "GREENROOM_SWEEP_DATABASE_URL": "greenroom_sweep",
    }


def test_no_secret_has_a_default_or_is_written_down(services):
    text = (ROOT / "docker-compose.yml").read_text()
    secrets = re.findall(r"\$\{([A-Z_]*(?:PASSWORD|KEYS?|TOKEN))([^}]*)\}", text)
    assert secrets
    assert {rest for _, rest in secrets} == {":?set it in .env"}
    named = set(re.findall(r"\$\{([A-Z_]+)", text))
    asked = set(re.findall(r"^([A-Z_]+)=$", (ROOT / "docker" / "example.env").read_text(), re.MULTILINE))
    assert named == asked


@pytest.mark.parametrize("name", OURS)
def test_our_containers_hold_no_privileges(services, name):
    service = services[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert "privileged" not in service
    assert "ports" not in service, "only the front is reached from outside"


def test_the_image_is_installed_by_hash_and_runs_as_nobody_in_particular():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "pip install --require-hashes -r requirements.lock" in dockerfile
    last_stage = dockerfile.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)


def test_servers_are_waited_for_and_migrated_first(services):
    for name in OURS[:-1]:
        assert services[name]["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "valkey": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }
    for name in ("web", "ingest", "postgres", "valkey"):
        assert services[name]["healthcheck"]["test"]


def test_the_front_sends_heartbeats_and_long_polls_to_ingest_and_the_rest_to_web(services):
    caddyfile = (ROOT / "docker" / "Caddyfile").read_text()
    ingest = programs.ingest(bind="0.0.0.0", port=8001)
    assert "path /device/v1/heartbeats /device/v1/operations" in caddyfile
    assert caddyfile.index("handle @ingest {\n\t\treverse_proxy ingest:8001") < caddyfile.index(
        "reverse_proxy web:8000"
    )
    assert ingest[ingest.index("--port") + 1] == "8001"
    for mounted in services["front"]["volumes"] + services["postgres"]["volumes"]:
        source = mounted.split(":")[0]
        assert not source.startswith(".") or (ROOT / source).is_file()


def test_the_role_script_makes_three_roles_without_powers(tmp_path):
    home = Home(tmp_path / "home")
    home.prepare()
    server = Postgres(home, choose(home, installation() / "bin" / "postgres"), durable=False)
    server.spawn()
    try:
        while not server.answers():
            assert server.alive(), server.last_words()
        environ = {
            "PATH": f"{installation() / 'bin'}:/usr/bin:/bin",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(home.port("postgres")),
            "PGPASSWORD": home.passwords()["postgres"],
            **{f"GREENROOM_{role}_PASSWORD": f"pass-{role}" for role in ("OWNER", "APP", "SWEEP")},
        }
        subprocess.run(
            ["/bin/sh", ROOT / "docker/postgres/roles.sh"], env=environ, check=True, capture_output=True
        )
        for role in ("owner", "app", "sweep"):
            connection = psycopg2.connect(
                host="127.0.0.1", port=environ["PGPORT"], dbname="greenroom",
                user=f"greenroom_{role}", password=f"pass-{role.upper()}",
            )  # fmt: skip
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication, "
                    "has_database_privilege('greenroom', 'TEMPORARY'), has_schema_privilege('public', 'CREATE') "
                    "FROM pg_roles WHERE rolname = current_user"
                )
                powers, temporary, create = cursor.fetchone()
            connection.close()
            assert not powers
            assert (temporary, create) == {
                "owner": (True, True),
                "app": (True, False),
                "sweep": (False, False),
            }[role]
    finally:
        server.stop()
