"""`manage.py replay_dead_letters`: heartbeats that could not be stored, once more, after their cause is mended."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError

from fleet import stream

AT_ONCE = 100


class Command(BaseCommand):
    help = (
        "Put heartbeats that could not be stored back at the end of their streams. What fails again returns to the "
        "dead letters; what is stored already is skipped. It can be stopped and repeated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--list", action="store_true", help="only show them: stream, id, bytes, reason")
        parser.add_argument("--shard", type=int, help="of one stream only")

    def handle(self, *args: Any, **options: Any) -> None:
        shards = stream.shards() if options["shard"] is None else [options["shard"]]
        client = stream.connect()
        try:
            for shard in shards:
                if options["list"]:
                    self._list(client, shard)
                else:
                    self._replay(client, shard)
        except redis.RedisError as error:
            raise CommandError(f"Redis does not answer: {error}") from None
        finally:
            client.close()

    def _list(self, client: redis.Redis, shard: int) -> None:
        for letter in stream.dead_letters(client, shard, count=1000):
            size_bytes = len(letter.payload or b"")
            self.stdout.write(f"{shard}  {letter.id.decode()}  {size_bytes} bytes  {letter.reason}")

    def _replay(self, client: redis.Redis, shard: int) -> None:
        """Only those that are there now: one that fails again at once would be met for ever."""
        left = int(client.xlen(stream.dead_key(shard)))
        done = 0
        while left > 0 and (letters := stream.dead_letters(client, shard, count=min(AT_ONCE, left))):
            stream.replay(client, shard, letters)
            done += len(letters)
            left -= len(letters)
            self.stdout.write(f"Stream {shard}: {done} replayed, {left} to go")
        if not done:
            self.stdout.write(f"Stream {shard}: no dead letters")
