from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agent.backoff import Backoff


def test_waits_are_spread_evenly_below_a_limit_that_doubles_up_to_ten_minutes():
    limits = [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]
    runs = [[backoff.failed() for _ in limits] for backoff in (Backoff(Random(seed)) for seed in range(400))]
    for waits, limit in zip(zip(*runs, strict=True), limits, strict=True):
        assert 0 <= min(waits) < 0.05 * limit
        assert 0.95 * limit < max(waits) <= limit
        assert 0.4 * limit < sum(waits) / len(waits) < 0.6 * limit


@given(st.integers(0, 40), st.floats(0, 3600), st.integers())
def test_the_service_is_given_the_time_it_asks_for(failures, asked_s, seed):
    backoff = Backoff(Random(seed))
    for _ in range(failures):
        backoff.failed()
    assert asked_s <= backoff.failed(asked_s) <= max(asked_s, 600)


def test_no_service_can_ask_for_more_than_an_hour():
    assert Backoff().failed(1e9) == 3600


def test_a_success_starts_from_the_beginning():
    backoff = Backoff(Random(1))
    for _ in range(8):
        backoff.failed()
    backoff.succeeded()
    assert backoff.failed() <= 5
