"""PostgreSQL and Valkey of a home: started, shared, killed, refused. Real servers in folders with a space."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from foundation import embedded
from foundation.embedded.home import Home, is_free

NEVER = Retry(NoBackoff(), 0)
ROOT = Path(__file__).parents[2]
USER = """
import sys
from pathlib import Path
from foundation import embedded
try:
    used = embedded.services(Path(sys.argv[1]), durable=False)
except embedded.ServicesUnavailable as error:
    sys.exit(str(error))
print(*(used.pids()[name] for name in ("keeper", "postgres", "redis")), flush=True)
sys.stdin.read()
"""


def another_user(home: Path) -> "subprocess.Popen[str]":
    """A process of its own that uses the services until its stdin is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", USER, home],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def eventually(holds: Callable[[], bool], *, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def connects(url: str) -> bool:
    try:
        psycopg2.connect(url, connect_timeout=5).close()
    except psycopg2.OperationalError:
        return False
    return True


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url, connect_timeout=5)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("a home") / "green room"
    yield place
    embedded.stop(place)


@pytest.fixture
def used(home: Path) -> Iterator[embedded.Services]:
    services = embedded.services(home, durable=False)
    yield services
    services.release()


def test_each_role_reaches_the_database_without_powers(used):
    for name, role in (
        ("DATABASE_URL", "greenroom_app"),
        ("GREENROOM_OWNER_DATABASE_URL", "greenroom_owner"),
        ("GREENROOM_SWEEP_DATABASE_URL", "greenroom_sweep"),
    ):
        url = used.environment()[name]
        powers = "rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
        assert query(url, f"SELECT current_user, {powers} FROM pg_roles WHERE rolname = current_user") == [
            (role, False, False, False, False, False)
        ]
        assert query(url, "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member "
                          "WHERE r.rolname LIKE 'greenroom%'") == [(0,)]  # fmt: skip
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'greenroom'"
    assert query(used.superuser_url, owner) == [("greenroom_owner",)]


def test_only_the_owner_may_create_tables(used):
    query(used.environment()["GREENROOM_OWNER_DATABASE_URL"], "CREATE TABLE made_by_owner (id int)")
    for name in ("DATABASE_URL", "GREENROOM_SWEEP_DATABASE_URL"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(used.environment()[name], "CREATE TABLE mine (id int)")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(used.environment()[name], "SELECT * FROM made_by_owner")


def test_a_wrong_password_is_refused_by_both_servers(used):
    urls = used.environment()
    secret = used.home.passwords()["greenroom_app"]
    assert not connects(urls["DATABASE_URL"].replace(secret, "guess"))
    with (
        redis.Redis(port=used.home.port("redis"), password="guess", retry=NEVER) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    assert used.home.control.joinpath("passwords.json").stat().st_mode & 0o077 == 0


def test_the_database_compares_text_by_code_point_and_knows_unicode(used):
    answer = query(
        used.superuser_url, "SELECT 'B' < 'a', upper('ä'), datlocprovider FROM pg_database LIMIT 1"
    )
    assert answer == [(True, "Ä", "b")]


def test_redis_keeps_what_it_is_given_and_evicts_nothing(used):
    with redis.Redis.from_url(used.environment()["REDIS_URL"]) as client:
        kept = client.config_get("maxmemory-policy") | client.config_get("appendonly")
    assert kept == {"maxmemory-policy": "noeviction", "appendonly": "yes"}


def test_killed_servers_come_back_with_their_data(used):
    url = used.environment()["REDIS_URL"]
    query(
        used.environment()["GREENROOM_OWNER_DATABASE_URL"], "CREATE TABLE survives AS SELECT 41 + 1 AS answer"
    )
    with redis.Redis.from_url(url) as client:
        client.set("survives", "yes")
    before = used.restarts()
    for name in ("postgres", "redis"):
        os.kill(used.pids()[name], signal.SIGKILL)
    eventually(lambda: used.restarts() == {name: count + 1 for name, count in before.items()})
    eventually(lambda: connects(used.environment()["DATABASE_URL"]))
    assert query(used.environment()["GREENROOM_OWNER_DATABASE_URL"], "SELECT answer FROM survives") == [(42,)]

    def kept() -> bool:
        try:
            with redis.Redis.from_url(url) as client:
                return client.get("survives") == b"yes"
        except redis.ConnectionError:
            return False

    eventually(kept)


def test_a_server_can_be_held_down_and_returns(used):
    restarts = used.restarts()
    with used.stopped("postgres"):
        assert not connects(used.environment()["DATABASE_URL"])
    eventually(lambda: connects(used.environment()["DATABASE_URL"]))
    assert used.restarts() == restarts


def test_servers_run_without_root(used):
    for name in ("postgres", "redis"):
        status = Path(f"/proc/{used.pids()[name]}/status").read_text()
        capabilities = int(
            next(line for line in status.splitlines() if line.startswith("CapEff")).split()[1], 16
        )
        assert (
            os.readlink(f"/proc/{used.pids()[name]}/ns/user") != os.readlink("/proc/self/ns/user")
            or not capabilities
        )


def test_racing_starters_share_the_services_and_the_last_one_stops_them(tmp_path):
    place = tmp_path / "raced home"
    users = [another_user(place) for _ in range(3)]
    told = [user.stdout.readline().split() for user in users]
    assert len(told[0]) == 3
    assert told[0] == told[1] == told[2]
    for user in users[:2]:
        user.communicate()
        assert embedded.running(place) is not None
    users[0].wait()
    users[2].communicate()
    assert embedded.running(place) is None
    assert all(is_gone(int(pid)) for pid in told[0])


def test_services_end_though_their_last_user_was_killed(tmp_path):
    user = another_user(tmp_path / "home")
    pids = user.stdout.readline().split()
    user.kill()
    user.communicate()
    eventually(lambda: all(is_gone(int(pid)) for pid in pids))


def test_a_killed_keeper_takes_the_servers_along_and_the_next_user_starts_afresh(tmp_path):
    services = embedded.services(tmp_path / "home", durable=False)
    pids = services.pids()
    os.kill(pids["keeper"], signal.SIGKILL)
    eventually(lambda: embedded.running(services.home.path) is None)
    again = embedded.services(services.home.path, durable=False)
    assert connects(again.environment()["DATABASE_URL"])
    assert again.environment() == services.environment()
    assert is_gone(pids["postgres"])
    services.release()
    again.release()


def test_what_a_crash_left_behind_is_cleared_and_strangers_are_spared(tmp_path):
    """A pid file whose number now belongs to another program, a half-made database, a taken port."""
    place = tmp_path / "home"
    embedded.services(place, durable=False).release()
    half_made = place / "postgres" / "data.1.draft"
    half_made.mkdir()
    stranger = subprocess.Popen(["sleep", "60"], cwd=place / "postgres" / "data")
    try:
        (place / "postgres" / "data" / "postmaster.pid").write_text(
            f"{stranger.pid}\n{place}\n1\n1\n\n\n\nready\n"
        )
        taken = Home(place).port("redis")
        with socket.create_server(("127.0.0.1", taken)):
            services = embedded.services(place, durable=False)
            assert connects(services.environment()["DATABASE_URL"])
            assert Home(place).port("redis") != taken
            services.release()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_interrupted_first_start_is_repeated(tmp_path):
    place = tmp_path / "home"
    Home(place).prepare()
    keeper = subprocess.Popen(
        [sys.executable, "-m", "foundation.embedded.keeper", place, "--not-durable"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    eventually(lambda: any((place / "postgres").glob("data.*.draft/PG_VERSION")))
    keeper.kill()
    keeper.wait()
    services = embedded.services(place, durable=False)
    assert connects(services.environment()["DATABASE_URL"])
    assert not list((place / "postgres").glob("data.*.draft"))
    services.release()


def test_a_port_is_remembered(home, used):
    url = used.environment()["DATABASE_URL"]
    used.release()
    assert embedded.running(home) is None
    assert is_free(Home(home).port("postgres"))
    again = embedded.services(home, durable=False)
    assert again.environment()["DATABASE_URL"] == url
    again.release()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(embedded.ServicesUnavailable, match=r"^GREENROOM_HOME \S+ cannot be used: [^\n]+\.$"):
        embedded.services(tmp_path / "file" / "home")


@pytest.mark.parametrize(("options", "reason"), [("size=5m", "the disk is full"), ("size=8k", "the disk is full"), ("ro", "the disk is read-only")])  # fmt: skip
def test_a_full_or_read_only_disk_is_one_line(tmp_path, options, reason):
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    script = 'mount -t tmpfs -o "$1" none "$2"; shift 2; exec "$@"'
    if (
        shutil.which("unshare") is None
        or subprocess.run([*mount, script, "sh", options, tmp_path, "true"], check=False).returncode
    ):
        pytest.skip("this system lets nobody mount a small disk of his own")
    made = subprocess.run(
        [*mount, script, "sh", options, tmp_path, sys.executable, "-c", USER, tmp_path / "home"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 1
    assert made.stderr.rstrip().endswith(f"{reason}.")
    assert len(made.stderr.splitlines()) == 1
