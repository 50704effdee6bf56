from __future__ import annotations

from datetime import timedelta

import pytest

from enrollment import nonces


def test_a_nonce_is_good_for_its_purpose_and_subject_only(at):
    nonce = nonces.make("rotate", "abcdefghijkl", at=at)
    assert nonces.check("rotate", nonce, "abcdefghijkl", at=at)
    assert not nonces.check("rotate", nonce, "abcdefghijkm", at=at)
    assert not nonces.check("rotate", nonce, at=at)
    assert not nonces.check("enroll", nonce, "abcdefghijkl", at=at)


@pytest.mark.parametrize(
    ("purpose", "life"), [("enroll", timedelta(minutes=5)), ("rotate", timedelta(hours=24))]
)
def test_a_nonce_ends_with_its_lifetime(at, purpose, life):
    nonce = nonces.make(purpose, at=at)
    assert nonces.check(purpose, nonce, at=at + life - timedelta(milliseconds=1))
    assert not nonces.check(purpose, nonce, at=at + life)


def test_a_clock_a_little_behind_accepts_a_nonce_just_made_and_no_earlier(at):
    nonce = nonces.make("enroll", at=at)
    assert nonces.check("enroll", nonce, at=at - timedelta(seconds=20))
    assert not nonces.check("enroll", nonce, at=at - timedelta(minutes=2))


def test_every_change_of_a_nonce_is_noticed(at):
    nonce = nonces.make("enroll", at=at)
    for position in range(len(nonce)):
        other = "A" if nonce[position] != "A" else "B"
        assert not nonces.check("enroll", nonce[:position] + other + nonce[position + 1 :], at=at)


@pytest.mark.parametrize("text", ["", "x", "é" * 64, "=" * 64, "A" * 64, "A" * 63, "A" * 65, "A" * 100_000])
def test_what_is_no_nonce_is_refused(at, text):
    assert not nonces.check("enroll", text, at=at)


def test_a_nonce_signed_with_the_former_secret_stays_good(at, settings):
    nonce = nonces.make("enroll", at=at)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another secret of more than thirty-two characters"
    assert not nonces.check("enroll", nonce, at=at)
    settings.SECRET_KEY_FALLBACKS = [former]
    assert nonces.check("enroll", nonce, at=at)


def test_two_nonces_differ(at):
    assert nonces.make("enroll", at=at) != nonces.make("enroll", at=at)
