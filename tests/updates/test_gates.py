from random import Random

import pytest

from bench import rollout_gate
from updates.gates import FailureGate, Health, Verdict, health_verdict


def test_nothing_is_decided_before_enough_rooms_reported():
    gate = FailureGate().after([False] * 4)
    assert gate.verdict is Verdict.WAIT
    assert gate.after([False]).verdict is Verdict.STOP
    assert FailureGate().after([True] * 5).verdict is Verdict.GO_ON


def test_it_makes_no_difference_in_how_many_portions_outcomes_arrive():
    random = Random(7)
    outcomes = [random.random() > 0.1 for _ in range(300)]
    piecewise = FailureGate()
    for outcome in outcomes:
        piecewise = piecewise.after([outcome])
    assert piecewise == FailureGate().after(outcomes)


def test_a_thousand_good_rooms_do_not_hide_bad_ones_that_follow():
    gate = FailureGate().after([True] * 1_000)
    assert gate.after([False] * 5).verdict is Verdict.STOP


def test_a_stop_stays_until_a_person_decides():
    assert FailureGate().after([False] * 5 + [True] * 500).verdict is Verdict.STOP


def test_a_bad_release_reaches_few_rooms_and_a_good_one_is_seldom_stopped():
    random = Random(1)
    bad = sorted(rollout_gate.run(0.30, random)[0] for _ in range(1_000))
    assert bad[989] <= rollout_gate.MOST_TOUCHED
    stops = sum(rollout_gate.run(0.02, random)[1] for _ in range(300))
    assert stops <= 3 * rollout_gate.MOST_NEEDLESS_STOPS


@pytest.mark.parametrize(
    ("updated", "others", "verdict"),
    [
        (Health(40, 10), Health(400, 12), Verdict.STOP),
        (Health(40, 2), Health(400, 12), Verdict.GO_ON),
        (Health(40, 30), Health(400, 300), Verdict.GO_ON),  # an outage hits both alike
        (Health(40, 0), Health(400, 100), Verdict.GO_ON),  # better is no reason to stop
        (Health(9, 9), Health(400, 0), Verdict.WAIT),
        (Health(400, 400), Health(9, 0), Verdict.WAIT),
        (Health(9_000, 900), Health(11_000, 550), Verdict.STOP),
    ],
)
def test_updated_rooms_are_held_against_the_others_of_their_model(updated, others, verdict):
    assert health_verdict(updated, others) is verdict
