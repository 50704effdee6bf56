from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.ids import new_id
from updates import rollouts
from updates.errors import NotNow
from updates.gates import FailureGate, Verdict
from updates.planning import RoomOfRing, spread
from updates.readiness import Readiness, blocker
from updates.rollouts import Change, Counts, Event, Stage, Standing, Step, advanced, after, resumed
from updates.states import ENDED_ROLLOUTS, RolloutState, StageState

START = date(2026, 11, 25)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def stage(**given) -> Stage:
    return Stage(
        **{"state": StageState.WAITING, "starts_on": START, "test_days": 5, "counts": Counts(4), **given}
    )


def running(*stages: Stage) -> Standing:
    return Standing(RolloutState.IN_PROGRESS, stages)


def test_rings_begin_one_after_the_other_when_their_day_comes():
    both = running(stage(), stage(starts_on=START + timedelta(days=6)))
    assert advanced(both, at=NOON - timedelta(days=2))[1] == []
    # On the Line Islands the day begins 14 hours before it does in UTC.
    first, steps = advanced(both, at=datetime(2026, 11, 24, 10, tzinfo=UTC))
    assert steps == [Step(Change.BEGIN, 0)]
    done = replace(first.stages[0], counts=Counts(succeeded=4))
    tested, steps = advanced(running(done, first.stages[1]), at=NOON)
    assert steps == [Step(Change.TEST, 0)]
    almost = NOON + timedelta(days=5) - timedelta(seconds=1)
    assert advanced(tested, at=almost)[1] == []
    _, steps = advanced(tested, at=NOON + timedelta(days=6))
    assert steps == [Step(Change.PASS, 0), Step(Change.BEGIN, 1)]


def test_a_ring_without_rooms_holds_nobody_up_and_the_last_one_ends_it():
    standing, steps = advanced(running(stage(counts=Counts()), stage(counts=Counts())), at=NOON)
    assert standing.state == RolloutState.COMPLETED
    assert steps[-1] == Step(Change.FINISH)
    failed = stage(state=StageState.PASSED, counts=Counts(succeeded=99, failed=1))
    assert advanced(running(failed), at=NOON)[0].state == RolloutState.COMPLETED_WITH_FAILURES


def test_a_ring_that_needs_a_yes_waits_for_it():
    waits = stage(needs_approval=True)
    assert advanced(running(waits), at=NOON)[1] == []
    assert advanced(running(replace(waits, approved=True)), at=NOON)[1] == [Step(Change.BEGIN, 0)]


@pytest.mark.parametrize("verdict", ["gate", "health"])
@pytest.mark.parametrize("state", [StageState.IN_PROGRESS, StageState.TESTING])
def test_a_gate_stops_the_ring_and_pauses_the_rollout(verdict, state):
    stopped = stage(state=state, installed_at=NOON, **{verdict: Verdict.STOP})
    standing, [step] = advanced(running(stopped, stage()), at=NOON)
    assert (step.change, step.stage, standing.state) == (Change.STOP, 0, RolloutState.PAUSED)
    assert step.reason
    assert advanced(standing, at=NOON + timedelta(days=99))[1] == []


def test_the_limit_of_a_ring_counts_at_its_end_and_once():
    under_way = stage(state=StageState.IN_PROGRESS, counts=Counts(1, 0, 17, 2), failure_limit_pct=5)
    assert advanced(running(under_way), at=NOON)[1] == []
    through = replace(under_way, counts=Counts(0, 0, 18, 2))
    standing, [step] = advanced(running(through), at=NOON)
    assert step.change == Change.STOP
    on = resumed(standing.stages[0])
    assert advanced(running(on), at=NOON)[1] == [Step(Change.TEST, 0)]
    at_the_limit = replace(under_way, counts=Counts(0, 0, 19, 1))
    assert advanced(running(at_the_limit), at=NOON)[1] == [Step(Change.TEST, 0)]


def test_rooms_that_catch_up_hold_up_the_end_alone():
    catching_up = stage(state=StageState.PASSED, counts=Counts(1, 0, 3))
    later = stage(state=StageState.WAITING)
    assert advanced(running(catching_up, later), at=NOON)[1] == [Step(Change.BEGIN, 1)]
    passed = stage(state=StageState.PASSED, counts=Counts(succeeded=4))
    assert advanced(running(catching_up, passed), at=NOON)[1] == []


def test_what_is_over_stays_over():
    for state in RolloutState:
        for event in Event:
            allowed, follows = rollouts.MOVES[event]
            if state in allowed:
                assert after(state, event) == follows
            else:
                with pytest.raises(NotNow):
                    after(state, event)
    over = {RolloutState.CANCELLED, RolloutState.DEPRECATED}
    assert not [event for event, (allowed, _) in rollouts.MOVES.items() if allowed & over]


def test_rollouts_begin_on_wednesdays_unless_critical():
    assert [
        rollouts.first_night(date(2026, 11, day), critical=False).isoformat() for day in (22, 24, 25, 26)
    ] == ["2026-11-25", "2026-11-25", "2026-12-02", "2026-12-02"]
    assert rollouts.first_night(date(2026, 11, 22), critical=True) == date(2026, 11, 22)
    starts = rollouts.planned_starts(START, [(1, 5), (5, 5), (2, 5)])
    assert [(day - START).days for day in starts] == [0, 6, 16]


# Whatever happens, in whatever order ----------------------------------------------------------------------------

OUTCOMES = st.lists(
    st.sampled_from(["offer", "succeed", "fail", "skip", "day", "pause", "resume", "cancel", "yes", "again"]),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(
    events=OUTCOMES,
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    approvals=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_no_order_of_events_breaks_the_order_of_rings(events, sizes, approvals):
    days = rollouts.planned_starts(START, [(1, 2)] * len(sizes))
    standing = running(
        *(
            stage(starts_on=day, test_days=2, counts=Counts(size), needs_approval=yes, failure_limit_pct=20)
            for day, size, yes in zip(days, sizes, approvals, strict=False)
        )
    )
    gates = [FailureGate() for _ in sizes]
    at = NOON
    for event in events:
        before = standing
        stages = list(standing.stages)
        number = next((i for i, each in enumerate(stages) if each.state == StageState.IN_PROGRESS), None)
        if event == "day":
            at += timedelta(days=1)
        elif event in ("pause", "resume", "cancel"):
            try:
                standing = replace(standing, state=after(standing.state, Event(event)))
            except NotNow:
                continue
            if event == "resume":
                gates = [replace(gate, tripped=False, score=0.0) for gate in gates]
                standing = replace(standing, stages=tuple(resumed(each) for each in standing.stages))
        elif event == "yes":
            standing = replace(standing, stages=tuple(replace(each, approved=True) for each in stages))
        elif number is not None and event != "again":
            counts = stages[number].counts
            moved = _moved(counts, event, standing.state)
            if moved is None:
                continue
            if event in ("succeed", "fail"):
                gates[number] = gates[number].after([event == "succeed"])
            stages[number] = replace(stages[number], counts=moved, gate=gates[number].verdict)
            standing = replace(standing, stages=tuple(stages))
        standing, steps = advanced(standing, at=at)
        assert advanced(standing, at=at) == (standing, []), "asked twice, nothing more follows"
        _hold(before, standing, steps, sizes)


def _moved(counts: Counts, event: str, state: RolloutState) -> Counts | None:
    if event == "offer":
        if state != RolloutState.IN_PROGRESS or not counts.scheduled:
            return None
        return replace(counts, scheduled=counts.scheduled - 1, in_progress=counts.in_progress + 1)
    if event == "skip":
        return (
            replace(counts, scheduled=counts.scheduled - 1, skipped=counts.skipped + 1)
            if counts.scheduled
            else None
        )
    if not counts.in_progress:
        return None
    less = replace(counts, in_progress=counts.in_progress - 1)
    if event == "succeed":
        return replace(less, succeeded=less.succeeded + 1)
    return replace(less, failed=less.failed + 1)


def _hold(before: Standing, standing: Standing, steps: list[Step], sizes: list[int]) -> None:
    assert [each.counts.total for each in standing.stages] == sizes, "nobody is lost"
    active = [i for i, each in enumerate(standing.stages) if each.state != StageState.PASSED]
    begun = [
        i
        for i, each in enumerate(standing.stages)
        if each.state in (StageState.IN_PROGRESS, StageState.TESTING, StageState.STOPPED)
    ]
    assert begun in ([], active[:1]), "a ring begins only after all before it passed"
    if any(each.state == StageState.STOPPED for each in standing.stages):
        assert standing.state in {RolloutState.PAUSED, *ENDED_ROLLOUTS}
    if before.state in ENDED_ROLLOUTS or before.state == RolloutState.PAUSED == standing.state:
        assert steps == [], "what is paused or over does nothing by itself"
    for each in standing.stages:
        if each.state == StageState.WAITING:
            assert each.counts.in_progress == each.counts.succeeded == 0
    if standing.state in (RolloutState.COMPLETED, RolloutState.COMPLETED_WITH_FAILURES):
        assert all(each.state == StageState.PASSED and each.counts.through for each in standing.stages)


# Nights ------------------------------------------------------------------------------------------------------------


def test_rooms_are_spread_evenly_and_each_building_over_all_nights():
    buildings = [new_id() for _ in range(4)]
    rooms = [RoomOfRing(new_id(), buildings[i % 4]) for i in range(102)]
    nights = spread(rooms, 5)
    assert spread(reversed(rooms), 5) == nights
    sizes = [list(nights.values()).count(day) for day in range(5)]
    assert max(sizes) - min(sizes) <= 1
    for building in buildings:
        of_building = [nights[room.room_id] for room in rooms if room.building == building]
        assert set(of_building) == set(range(5))
        assert max(map(of_building.count, range(5))) - min(map(of_building.count, range(5))) <= 1


@pytest.mark.parametrize(
    ("kind", "device", "forced", "expected"),
    [
        ("room_app", Readiness(), "", ""),
        ("room_app", Readiness(in_meeting=True), "", "in_meeting"),
        ("room_app", Readiness(in_meeting=True), "next_free", "in_meeting"),
        ("room_app", Readiness(in_meeting=True), "now", ""),
        ("room_app", Readiness(silent=True), "now", "silent"),
        ("room_app", Readiness(clock_wrong=True), "", "clock_wrong"),
        ("room_app", Readiness(unhealthy={"disk_space"}), "", "disk_space"),
        ("room_app", Readiness(unhealthy={"wu_disabled"}), "", ""),
        ("os_quality", Readiness(unhealthy={"wu_blocked"}), "", "wu_blocked"),
        ("room_app", Readiness(enrolled=False), "", "not_watched"),
    ],
)
def test_what_keeps_a_device_from_being_updated(kind, device, forced, expected):
    assert blocker(kind, device, forced=forced) == expected
