"""The agent at work against real HTTP, on a recorded machine, in a time that passes by itself."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from random import Random

import pytest

from agent import runner
from agent.backoff import Backoff
from agent.clock import Clock, Moment
from agent.faults import parse_fault, set_fault
from agent.identity import load_or_make_identity
from agent.inventory import digest
from agent.readers.linux import LinuxReader
from agent.runner import Runner
from agent.spool import Spool
from agent.state import State, load_state
from tests.agent import standin

NOON = 1_795_348_800.0
DAY = 86400.0


class EndError(Exception):
    """Nothing went wrong: the time is up."""


class PassingClock(Clock):
    """Sleeping passes the time; at given times something happens."""

    def __init__(self, wall: float, mono: float, boot: str) -> None:
        self.mono, self.boot = mono, boot
        self.wall_minus_mono = wall - mono
        self.events: list[tuple[float, Callable[[], object]]] = []

    def now(self) -> Moment:
        return Moment(self.wall_minus_mono + self.mono, self.mono, self.boot)

    def sleep(self, seconds: float) -> None:
        end = self.mono + seconds
        while self.events and self.events[0][0] <= end:
            self.mono, happen = self.events.pop(0)
            happen()
        self.mono = end


class Room:
    """An enrolled agent on the recorded room PC."""

    def __init__(self, home: Path, machine: Path, service: standin.Service) -> None:
        self.home, self.service = home, service
        self.reader = LinuxReader(machine / "sys", machine / "proc", machine / "etc", smart=lambda disk: None)
        self.identity = load_or_make_identity(home / "device-key.pem")
        service.public_key = self.identity.public_key
        State(
            url=f"{service.url}/device/v1",
            heartbeat_url=f"{service.url}/device/v1/heartbeats",
            device_id="0190-device",
            token=service.new_token(),
            expires_at="",
            interval_s=60.0,
            found_at_enrollment={"camera_room": 1, "mic_conf": 2, "spk_conf": 1, "display_front": 2},
        ).save(home)
        self.wall, self.mono, self.boot = NOON, 1000.0, "first"

    def run(self, seconds: float, *events: tuple[float, Callable[[], object]]) -> None:
        """Run the agent for so long, from a fresh start."""
        clock = PassingClock(self.wall, self.mono, self.boot)
        self.service.now = lambda: datetime.fromtimestamp(clock.now().wall, UTC)
        clock.events = [(self.mono + after, happen) for after, happen in events]

        def end() -> None:
            raise EndError

        clock.events.append((self.mono + seconds, end))
        spool = Spool(self.home / "spool.db")
        state = load_state(self.home)
        assert state
        at_work = Runner(
            self.home, state, self.identity, spool, self.reader, clock=clock, backoff=Backoff(Random(1))
        )
        with pytest.raises(EndError):
            at_work.run()
        self.wall, self.mono = clock.now().wall, clock.mono
        spool.close()

    @property
    def state(self) -> State:
        state = load_state(self.home)
        assert state
        return state

    @property
    def kept(self) -> int:
        spool = Spool(self.home / "spool.db")
        try:
            return spool.count
        finally:
            spool.close()

    def stored(self, signal: str) -> list[object]:
        """The signal's states in the order the service stored them."""
        [items] = self.service.stored.values()
        return [items[seq]["signals"][signal] for seq in sorted(items)]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def home(tmp_path) -> Iterator[Path]:
    """In memory where that is possible: hours pass here, and each heartbeat is synced to disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def hours_pass(monkeypatch):
    """Looks less often, for the length of the story."""
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 30.0)


@pytest.fixture
def agent(home, room, service) -> Room:
    return Room(home, room, service)


def without_repeats(states: list[object]) -> list[object]:
    return [state for state, _ in groupby(states)]


def fails(count: int, fault: standin.Fault) -> list[standin.Fault]:
    return [fault] * count


def test_a_healthy_room_sends_one_heartbeat_a_minute(agent, service):
    agent.run(600)
    # one more at the start: from its answer on, the clock's drift is known
    assert service.seqs() == list(range(1, 12))
    signals = service.requests[0]["items"][0]["signals"]
    assert signals["camera_room"] == signals["mic_conf"] == signals["display_front"] == "healthy"
    assert signals["network"] == signals["disk_space"] == signals["wifi_only"] == "healthy"
    assert agent.kept <= 2  # what the last replies could not confirm yet


def test_the_service_sets_the_pace(agent, service):
    service.extra = {"next_in": 20}
    agent.run(600)
    assert 25 <= len(service.seqs()) <= 31


def test_a_pulled_camera_is_told_at_once_and_its_return_too(agent, service, room):
    cameras = room / "sys/class/video4linux"
    usb = room / "sys/bus/usb/devices"

    def pull() -> None:
        cameras.rename(room / "elsewhere")
        (usb / "1-1").rename(room / "1-1")

    def plug() -> None:
        (room / "elsewhere").rename(cameras)
        (room / "1-1").rename(usb / "1-1")

    agent.run(200, (70, pull), (100, plug))
    missing = {"state": "unhealthy", "detail": "0 of 1 camera found"}
    assert without_repeats(agent.stored("camera_room")) == ["healthy", missing, "healthy"]
    sent = [request["sent_mono"] - 1000 for request in service.requests]
    assert any(70 <= each <= 75.5 for each in sent)
    assert any(100 <= each <= 105.5 for each in sent)


def test_a_drill_is_taken_up_while_it_runs_and_healed(agent, service, home):
    fault = parse_fault("camera_room")
    agent.run(
        120,
        (20, lambda: set_fault(home, fault, active=True)),
        (50, lambda: set_fault(home, fault, active=False)),
    )
    injected = {"state": "unhealthy", "instance": "drill", "detail": "injected for a drill"}
    over = {"state": "healthy", "instance": "drill", "detail": "the drill is over (injected for a drill)"}
    real = {"state": "healthy"}
    assert without_repeats(agent.stored("camera_room")) == ["healthy", [real, injected], [real, over]]


def test_while_the_service_is_away_heartbeats_are_kept_and_all_arrive(agent, service, hours_pass):
    service.faults.extend(fails(8, standin.overloaded("20")))
    agent.run(1200)
    assert service.seqs() == list(range(1, len(service.seqs()) + 1))
    assert len(service.seqs()) >= 19
    sent = [request["sent_mono"] for request in service.requests]
    assert all(later - earlier >= 20 for earlier, later in pairwise(sent[:9]))


@pytest.mark.parametrize(
    "fault", [standin.reply_lost, standin.garbage, standin.portal_page, standin.committed_unknown]
)
def test_answers_that_fail_lose_nothing(agent, service, fault, hours_pass):
    service.faults.extend([standin.fine, *fails(5, fault)])
    agent.run(1800)
    assert len(service.seqs()) >= 25
    assert service.seqs() == list(range(1, len(service.seqs()) + 1))


def test_what_the_service_accepted_and_lost_is_sent_again(agent, service, hours_pass):
    service.faults.extend([standin.fine, *fails(4, standin.accepted_and_lost)])
    agent.run(900)
    assert service.seqs() == list(range(1, len(service.seqs()) + 1))
    assert agent.kept <= 2


def test_a_backlog_is_sent_at_a_pace_the_service_takes(agent, service, monkeypatch):
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 60.0)  # hours pass
    service.faults.extend(fails(200, standin.overloaded("3600")))
    agent.run(5 * 3600)
    service.faults.clear()
    agent.run(3700)
    assert service.seqs() == list(range(1, len(service.seqs()) + 1))
    assert len(service.seqs()) > 300
    backlog = [each for each in service.requests if len(each["items"]) > 50]
    times = [each["sent_mono"] for each in backlog]
    assert len(times) >= 3
    assert all(later - earlier >= 2 for earlier, later in pairwise(times))


def test_after_a_restart_of_the_machine_its_old_items_go_without_their_clock(agent, service):
    service.faults.extend(fails(50, standin.overloaded("1")))
    agent.run(180)
    service.faults.clear()
    agent.mono, agent.boot = 5.0, "second"
    agent.run(70)
    clocked = {item["seq"]: "t_mono" in item for request in service.requests for item in request["items"]}
    assert clocked[1] is False
    assert clocked[max(clocked)] is True
    assert service.seqs() == list(range(1, len(service.seqs()) + 1))


def test_the_token_is_renewed_when_the_service_asks(agent, service):
    service.extra = {"rotate": "rotate-nonce"}
    agent.run(30)
    assert agent.state.token == "grdt_2"
    assert "/device/v1/token/rotate" in service.calls
    service.tokens = {"grdt_2"}
    service.extra = {}
    agent.run(130)
    assert len(service.seqs()) >= 3


def test_a_renewal_that_cannot_be_saved_is_not_used(agent, service, home):
    service.extra = {"rotate": "rotate-nonce"}
    (home / "state.json.new").mkdir()  # as if the disk took nothing
    agent.run(130)
    assert agent.state.token == "grdt_1"
    assert len(service.seqs()) >= 2  # the old one goes on working


def test_a_token_that_is_no_longer_accepted_is_recovered_with_the_device_s_key(agent, service):
    service.tokens.clear()
    agent.run(130)
    assert agent.state.token == "grdt_2"
    assert service.calls.count("/device/v1/token/recover") == 1
    assert len(service.seqs()) >= 2


def test_a_revoked_device_drops_its_token_and_asks_once_a_day(agent, service, monkeypatch):
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 1800.0)  # days pass
    service.extra = {"next_in": 1800}
    state = agent.state
    state.interval_s = 1800.0
    state.save(agent.home)
    service.revoked = True
    agent.run(2 * 3600)
    assert agent.state.token == ""
    asked = [call for call in service.calls if call.endswith(("heartbeats", "recover"))]
    assert asked == ["/device/v1/heartbeats"]
    for _ in range(3):  # restarting does not make it ask more often
        agent.run(600)
    assert [call for call in service.calls if call.endswith(("heartbeats", "recover"))] == asked
    agent.run(DAY)
    assert service.calls.count("/device/v1/token/recover") == 1
    service.revoked = False
    agent.run(DAY)
    assert agent.state.token == "grdt_2"
    assert len(service.seqs()) > 90  # what it kept meanwhile arrives
    assert service.seqs() == list(range(1, len(service.seqs()) + 1))


def test_the_inventory_is_sent_when_it_is_wanted_and_matches_its_digest(agent, service):
    service.extra = {"inventory_wanted": True}
    agent.run(10)
    service.extra = {}
    agent.run(130)
    [document, *_] = service.inventories
    assert [each["kind"] for each in document["peripherals"]] == ["camera", "hub", "input", "speakerphone"]
    assert service.requests[0]["items"][0]["inventory_digest"] == digest(document)


def test_what_the_room_should_have_comes_from_the_service_and_is_remembered(agent, service):
    service.extra = {"expected": {"camera_room": 2}}
    agent.run(130)
    assert agent.state.expected == {"camera_room": 2, "mic_conf": 2, "spk_conf": 1, "display_front": 2}
    assert agent.stored("camera_room")[0] == "healthy"
    assert agent.stored("camera_room")[-1] == {"state": "unhealthy", "detail": "1 of 2 cameras found"}
    service.extra = {}
    agent.run(130)
    assert agent.state.expected_by_room == {"camera_room": 2}  # a reply that does not say changes nothing
    service.extra = {"expected": {}}
    agent.run(130)
    assert agent.stored("camera_room")[-1] == "healthy"


def test_a_clock_that_is_wrong_is_seen_from_the_answers(agent, service):
    agent.run(130)
    assert agent.stored("time_drift")[-1] == "healthy"
    service.clock_ahead = timedelta(hours=1)
    agent.run(130)
    assert agent.stored("time_drift")[-1] == {"state": "unhealthy", "detail": "60 min behind"}


def test_one_heartbeat_the_service_will_never_take_does_not_hold_up_the_rest(agent, service, hours_pass):
    def picky(handler, body):
        if any(item["seq"] == 3 and item["signals"] for item in body["items"]):
            handler.problem(422, "this one makes no sense")
            return True
        return False

    service.faults.extend(fails(500, picky))
    agent.run(1800)
    assert service.seqs() == list(range(1, len(service.seqs()) + 1))
    assert len(service.seqs()) >= 28
    [items] = service.stored.values()
    assert [seq for seq, item in items.items() if not item["signals"]] == [3]


def test_a_service_that_cannot_be_reached_is_a_network_fault_once_it_is_back(agent, service):
    with standin.running(standin.Service()) as gone:
        dead = gone.url
    state = agent.state
    alive, state.heartbeat_url = state.heartbeat_url, f"{dead}/device/v1/heartbeats"
    state.save(agent.home)
    agent.run(300)
    state.heartbeat_url = alive
    state.save(agent.home)
    agent.run(300)
    network = agent.stored("network")
    assert network[0] == {"state": "unhealthy", "detail": "the service is not reached: Connection refused"}
    assert network[-1] == "healthy"
    assert service.seqs() == list(range(1, len(service.seqs()) + 1))
