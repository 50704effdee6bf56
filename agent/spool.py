"""Heartbeats on disk until the service has them for good (one SQLite file).

Numbers run 1, 2, 3 … within an epoch, which is drawn when the spool is made and kept with it. Items leave
only from the front: up to what the service has committed, or the oldest when the spool is full.
"""

import json
import logging
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent.clock import Moment, written
from agent.errors import AgentError, CannotKeep

LONGEST_KEPT = timedelta(days=7)
LARGEST_BYTES = 50_000_000
_RESERVE_BYTES = 1_000_000
_ROW_BYTES = 120  # what a row costs beside its content, roughly
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

log = logging.getLogger("agent")


@dataclass(frozen=True, slots=True)
class Item:
    """One kept heartbeat. `t_mono` means something only within the boot it was read in."""

    seq: int
    t_wall: str  # ISO 8601, UTC
    t_mono: float
    boot: str
    content: dict[str, Any]


class Spool:
    """Every change is one transaction, synced to disk before the call returns (`kill -9` at any point loses
    at most what was not yet returned). Changes raise CannotKeep and leave everything as it was if the disk
    does not take them."""

    def __init__(
        self,
        path: Path,
        *,
        longest_kept: timedelta = LONGEST_KEPT,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        self._longest_kept_s = longest_kept.total_seconds()
        self._largest_bytes = largest_bytes
        try:
            self._database = _open(path)
        except sqlite3.Error as error:
            if error.sqlite_errorcode not in _BROKEN:
                raise AgentError(f"cannot open the spool {path}: {error}") from None
            log.error("the spool %s is damaged (%s); it is set aside and a new one begun", path, error)
            _set_aside(path)
            self._database = _open(path)
        [(self._bytes,)] = self._database.execute(f"SELECT coalesce(sum(size + {_ROW_BYTES}), 0) FROM items")  # noqa: S608 a constant

    def close(self) -> None:
        self._database.close()

    @property
    def epoch(self) -> str:
        return self._fact("epoch")

    @property
    def lowest(self) -> int | None:
        """The lowest number held, None if the spool is empty."""
        [(seq,)] = self._database.execute("SELECT min(seq) FROM items")
        return None if seq is None else int(seq)

    @property
    def highest(self) -> int:
        """The highest number ever given, 0 before the first."""
        return int(self._fact("highest"))

    @property
    def count(self) -> int:
        [(count,)] = self._database.execute("SELECT count(*) FROM items")
        return int(count)

    @property
    def last_reply_at(self) -> float | None:
        """Wall clock of the service's last good answer."""
        found = self._fact("last_reply_at")
        return float(found) if found else None

    def belong_to(self, device_id: str) -> None:
        """Start afresh if what is kept was read for another device: it must not reach another customer."""
        if (owner := self._fact("device")) == device_id:
            return
        with self._change():
            if owner:
                self._database.execute("DELETE FROM items")
                self._set("epoch", secrets.token_hex(16))
            self._set("device", device_id)
        self._bytes = 0 if owner else self._bytes

    def append(self, content: dict[str, Any], at: Moment) -> int:
        """Keep one heartbeat and return its number; drops the oldest ones where the bounds ask for it."""
        body = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        size = len(body.encode())
        with self._change():
            dropped, freed = self._drop_oldest(at, size)
            seq = self.highest + 1
            row = (seq, written(at.wall), at.wall, at.mono, at.boot, size, body)
            self._database.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._set("highest", seq)
        self._bytes += size + _ROW_BYTES - freed
        if dropped:
            log.warning("the spool is full: its %d oldest heartbeats were dropped", dropped)
        return seq

    def items(self, first: int, limit: int) -> list[Item]:
        """Up to `limit` items in order of their numbers, from `first` on."""
        rows = self._database.execute(
            "SELECT seq, t_wall, t_mono, boot, body FROM items WHERE seq >= ? ORDER BY seq LIMIT ?",
            (first, limit),
        )
        return [Item(seq, t_wall, t_mono, boot, json.loads(body)) for seq, t_wall, t_mono, boot, body in rows]

    def answered(self, committed: int | None, *, at_wall: float) -> None:
        """Note an answer and delete what it says is stored for good; None deletes nothing.

        An answer beyond what was ever numbered here means that this spool is an older copy (a restored
        disk): its next numbers are taken already, so it goes on in a new epoch and keeps what it holds.
        """
        with self._change():
            self._set("last_reply_at", at_wall)
            if committed is not None and committed > self.highest:
                log.error("the service knows later heartbeats than this spool, which must be an older copy")
                self._set("epoch", secrets.token_hex(16))
                committed = None
            freed = 0 if committed is None else self._delete_up_to(committed)[1]
        self._bytes -= freed

    def empty_out(self, seq: int) -> None:
        """Keep the number, give up its content: the service will never take it, and all later ones wait."""
        with self._change():
            self._database.execute("UPDATE items SET body = ? WHERE seq = ?", ('{"signals":{}}', seq))

    def _drop_oldest(self, at: Moment, coming_bytes: int) -> tuple[int, int]:
        # Within a boot the monotonic clock tells the age; the wall clock may just have been set right.
        too_old = (at.boot, at.mono - self._longest_kept_s, at.boot, at.wall - self._longest_kept_s)
        [(last,)] = self._database.execute(
            "SELECT max(seq) FROM items WHERE (boot = ? AND t_mono < ?) OR (boot <> ? AND wall < ?)", too_old
        )
        excess = self._bytes + coming_bytes + _ROW_BYTES - self._largest_bytes
        if excess > 0:
            for seq, size in self._database.execute("SELECT seq, size FROM items ORDER BY seq"):
                last = max(seq, last or 0)
                excess -= size + _ROW_BYTES
                if excess <= 0:
                    break
        return (0, 0) if last is None else self._delete_up_to(last)

    def _delete_up_to(self, last: int) -> tuple[int, int]:
        """Only ever from the front: a hole in the middle would hold back all later items for good."""
        [(count, freed)] = self._database.execute(
            f"SELECT count(*), coalesce(sum(size + {_ROW_BYTES}), 0) FROM items WHERE seq <= ?",  # noqa: S608 a constant
            (last,),
        )
        if count:
            self._database.execute("DELETE FROM items WHERE seq <= ?", (last,))
        return count, freed

    def _fact(self, name: str) -> str:
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def _set(self, name: str, value: object) -> None:
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, str(value)))

    @contextmanager
    def _change(self) -> Iterator[None]:
        try:
            with _transaction(self._database):
                yield
        except sqlite3.OperationalError as error:
            raise CannotKeep(f"cannot write the spool: {error}") from None


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # some errors (a full disk) have rolled back already
            database.execute("ROLLBACK")
        raise


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        # A journal that stays and is overwritten needs no new space, so a full disk can still be reported.
        database.execute("PRAGMA journal_mode = PERSIST")
        database.execute("PRAGMA synchronous = FULL")
        [(verdict,)] = database.execute("PRAGMA quick_check(1)")
        if verdict != "ok":
            damage = sqlite3.DatabaseError(verdict)
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'items'").fetchone():
            _create(database)
    except BaseException:
        database.close()
        raise
    path.chmod(0o600)
    return database


def _create(database: sqlite3.Connection) -> None:
    with _transaction(database):
        database.execute(
            "CREATE TABLE items (seq INTEGER PRIMARY KEY, t_wall TEXT NOT NULL, wall REAL NOT NULL,"
            " t_mono REAL NOT NULL, boot TEXT NOT NULL, size INTEGER NOT NULL, body TEXT NOT NULL)"
        )
        database.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        facts = {"epoch": secrets.token_hex(16), "highest": "0"}
        database.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
        # Freed pages stay in the file: room for the next days' items even when the disk has none.
        database.execute("CREATE TABLE reserve (filling BLOB)")
        database.execute("INSERT INTO reserve VALUES (zeroblob(?))", (_RESERVE_BYTES,))
        database.execute("DROP TABLE reserve")


def _set_aside(path: Path) -> None:
    path.with_name(path.name + "-journal").unlink(missing_ok=True)  # it must not be played into the new file
    path.replace(path.with_name(path.name + ".damaged"))
