from __future__ import annotations

from portal.simulation.room import SIGNALS, SimulatedRoom


def life(seed, number, steps):
    room = SimulatedRoom(seed, number)
    told = []
    for _ in range(steps):
        room.advance()
        told.append((room.silent, room.signals()))
    return told


def test_the_same_seed_lives_the_same_life_and_another_seed_another():
    assert life(7, 3, 2_000) == life(7, 3, 2_000)
    assert [life(7, n, 2_000) for n in range(10)] != [life(8, n, 2_000) for n in range(10)]


def test_a_room_that_was_stopped_goes_on_where_it_was():
    whole = SimulatedRoom(7, 3)
    for _ in range(900):
        whole.advance()
    assert SimulatedRoom(7, 3, step=900).signals() == whole.signals()


def test_faults_come_and_go_and_most_rooms_are_well_most_of_the_time():
    unwell = 0
    for number in range(100):
        told = life(1, number, 600)
        states = [any(state != "healthy" for state in signals.values()) or silent for silent, signals in told]
        unwell += sum(states)
        assert all(set(signals) == set(SIGNALS) for _, signals in told)
    assert 0.005 < unwell / 60_000 < 0.25
