"""The agent at work: look, keep, send; until it is told to stop."""

import logging
from datetime import timedelta
from pathlib import Path

from agent.backoff import Backoff
from agent.client import Reply, Service
from agent.clock import Clock, Moment, ServiceClock
from agent.delivery import Delivery
from agent.errors import CannotKeep, Refused, Revoked, ServiceError, Unauthorized
from agent.identity import Identity
from agent.readers import Reader
from agent.spool import Spool
from agent.state import State
from agent.watch import Look, Watch

LOOK_EVERY_S = 5.0  # how soon a change is seen, and how often at most one is sent
BACKLOG_EVERY_S = 2.0  # the service takes one request in 2 s from a device
REVOKED_ASKS_EVERY = timedelta(days=1)

log = logging.getLogger("agent")


class Runner:
    """One thread. `kill -9` at any point loses nothing that was kept, so stopping needs no ceremony."""

    def __init__(
        self,
        home: Path,
        state: State,
        identity: Identity,
        spool: Spool,
        reader: Reader,
        *,
        interval_s: float | None = None,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        """`interval_s` replaces what the service asks for between two heartbeats."""
        self._home = home
        self._state = state
        self._identity = identity
        self._spool = spool
        self._fixed_interval_s = interval_s
        self._clock = clock or Clock()
        self._backoff = backoff or Backoff()
        self._service = Service(state.url)
        self._service_clock = ServiceClock()
        self._watch = Watch(home, state, reader, self._service_clock)
        self._delivery = Delivery(spool)
        self._kept_states: set[tuple[str, str, str]] | None = None
        self._look: Look | None = None
        self._heartbeat_at = self._reach_at = self._send_at = 0.0  # monotonic
        self._trouble = ""

    def run(self) -> None:
        """Until an exception ends it (KeyboardInterrupt, as a rule)."""
        log.info("device %s reports to %s", self._state.device_id, self._state.heartbeat_url)
        while True:
            started = self._clock.now()
            self._keep(started)
            self._send_until_next_look(started)

    def _send_until_next_look(self, started: Moment) -> None:
        look_at = started.mono + min(LOOK_EVERY_S, self._interval_s)
        now = self._clock.now()
        while True:
            # An answer may have moved the heartbeat; one that could not be kept is not tried again at once.
            ends = min(look_at, self._heartbeat_at) if self._heartbeat_at > started.mono else look_at
            if now.mono >= ends:
                return
            if self._delivery.waiting and now.mono >= self._send_at:
                self._send(now)
            else:
                until = min(ends, self._send_at) if self._delivery.waiting else ends
                self._clock.sleep(max(0.01, until - now.mono))
            now = self._clock.now()

    @property
    def _interval_s(self) -> float:
        return self._fixed_interval_s or self._state.interval_s

    def _keep(self, now: Moment) -> None:
        """Look, and keep a heartbeat if one is due or something changed."""
        if now.mono >= self._reach_at:
            self._watch.reach()
            self._reach_at = now.mono + self._interval_s
        self._look = look = self._watch.look(now)
        if now.mono < self._heartbeat_at and look.states == self._kept_states:
            return
        try:
            self._spool.append(self._watch.heartbeat(look), now)
        except CannotKeep as error:  # the next look tries again; what is kept goes on being sent
            self._warn(str(error))
            return
        self._kept_states = look.states
        self._heartbeat_at = now.mono + self._interval_s

    def _send(self, now: Moment) -> None:
        if not self._state.token:
            self._ask_again(now)
            return
        batch = self._delivery.batch(now)
        if batch is None:
            return
        try:
            reply = self._service.post_heartbeats(self._state.heartbeat_url, self._state.token, batch)
            answered = self._clock.now()
            self._delivery.accepted(batch, reply.committed, at=answered)
        except Refused as error:
            gave_up = self._delivery.refused(batch)
            single = batch.first == batch.last and not gave_up
            self._warn(f"the service refuses heartbeats {batch.first} to {batch.last}: {error}")
            self._send_at = self._clock.now().mono + (self._backoff.failed() if single else BACKLOG_EVERY_S)
        except Revoked:
            self._revoked(now)
        except Unauthorized as error:
            self._recover(error)
        except (ServiceError, CannotKeep) as error:
            self._failed(error)
        else:
            self._succeeded(reply, sent=now, answered=answered)

    def _succeeded(self, reply: Reply, *, sent: Moment, answered: Moment) -> None:
        if self._trouble:
            log.info("heartbeats arrive again")
        self._trouble = ""
        self._backoff.succeeded()
        if reply.server_time is not None:
            self._service_clock.heard(reply.server_time, sent=sent, received=answered)
        if not self._delivery.waiting:  # the interval runs from the last answer, a backlog has its own pace
            pause_s = self._fixed_interval_s or reply.next_in_s or self._state.interval_s
            self._heartbeat_at = answered.mono + pause_s
            self._send_at = answered.mono + min(LOOK_EVERY_S, self._interval_s)
        else:
            self._send_at = answered.mono + BACKLOG_EVERY_S
        if reply.expected is not None and reply.expected != self._state.expected_by_room:
            self._state.expected_by_room = reply.expected
            self._save()
        if reply.rotate:
            self._rotate(reply.rotate)
        if reply.inventory_wanted and self._look is not None:
            self._put_inventory(self._look)

    def _failed(self, error: Exception) -> None:
        wait_s = self._backoff.failed(error.retry_after_s if isinstance(error, ServiceError) else None)
        self._warn(f"{error}; heartbeats are kept until it works again")
        now = self._clock.now()
        self._send_at = now.mono + wait_s
        self._reach_at = now.mono

    def _rotate(self, nonce: str) -> None:
        """A new token at half the old one's life; if anything goes wrong, the service asks again."""
        signature = self._identity.sign("greenroom-rotate-v1", nonce, self._state.device_id)
        try:
            fresh = self._service.rotate(self._state.token, nonce, signature)
        except ServiceError as error:
            log.warning("the token was not renewed: %s", error)
            return
        old = self._state.token, self._state.expires_at
        self._state.token, self._state.expires_at = fresh.token, fresh.expires_at
        if not self._save():  # its first use ends the old one, so it must be safe on disk before
            self._state.token, self._state.expires_at = old

    def _recover(self, refusal: Unauthorized) -> None:
        """The token is not accepted, most likely expired: the device's key is good for a new one."""
        try:
            nonce = self._service.challenge()
            signature = self._identity.sign("greenroom-recover-v1", nonce, self._state.device_id)
            fresh = self._service.recover(self._state.device_id, nonce, signature)
        except Revoked:
            self._revoked(self._clock.now())
        except Unauthorized as error:
            self._failed(ServiceError(f"the service no longer knows this device ({error}); enroll it again"))
        except ServiceError as error:
            self._failed(error)
        else:
            log.info("the token was not accepted (%s); a new one was given", refusal)
            self._state.token, self._state.expires_at = fresh.token, fresh.expires_at
            self._save()
            self._send_at = self._clock.now().mono + self._backoff.failed()

    def _revoked(self, now: Moment) -> None:
        self._warn("this device was shut out by the service; asking once a day whether it may come back")
        self._state.token, self._state.asked_at = "", now.wall
        self._save()
        self._send_at = now.mono + REVOKED_ASKS_EVERY.total_seconds()

    def _ask_again(self, now: Moment) -> None:
        """After a restart too, a revoked device asks no more than once a day."""
        since_s = now.wall - self._state.asked_at
        left_s = REVOKED_ASKS_EVERY.total_seconds() - since_s
        if since_s >= 0 and left_s > 0:
            self._send_at = now.mono + left_s
            return
        self._state.asked_at = now.wall
        self._save()
        self._recover(Unauthorized("revoked"))

    def _put_inventory(self, look: Look) -> None:
        try:
            self._service.put_inventory(self._state.token, look.inventory)
        except ServiceError as error:  # wanted again with the next answer
            log.warning("the inventory was not sent: %s", error)

    def _save(self) -> bool:
        try:
            self._state.save(self._home)
        except OSError as error:
            self._warn(f"cannot write to {self._home}: {error}")
            return False
        return True

    def _warn(self, message: str) -> None:
        """Each trouble once, not at every attempt."""
        if message != self._trouble:
            log.warning("%s", message)
        self._trouble = message
