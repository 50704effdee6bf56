"""What the Teams Rooms app writes about itself, read from published event texts, and the signals made of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.readers.facts import Devices, Peripheral, RoomApp, System
from agent.readers.windows_room_app import RECENT, room_app, statuses
from agent.signals import Facts, signals

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BEAT_FAILED = "Network status : Healthy. Exchange status : GeneralError. Signin status: Unhealthy. Teams Signin status: Unhealthy."
TWO_DISPLAYS_GONE = (
    " Front of Room Display status : Unhealthy. Configured display count is 2. Real display count is 0. Conference"
    " Microphone status : Unhealthy. Conference Speaker status : Healthy. Default Speaker status : Healthy. Camera"
    " status : Healthy."
)
ALL_AUDIO_GONE = (
    "Conference Microphone status : Unhealthy. Conference Speaker status : Unhealthy. Default Speaker status : Unhealthy."
    " Camera status : Unhealthy. Front of Room Display status : Healthy. Motion Sensor status : Healthy. HDMI Ingest"
    " status : Healthy. Content Camera status : Healthy. "
)


def event(
    key: int, description: str = "is healthy.", *, ago: timedelta = timedelta(minutes=2)
) -> dict[str, Any]:
    text = {"Description": description, "AppVersion": "4.7.15.0", "Alias": "aurora@halden.example"}
    return {"Id": key, "At": f"{AT - ago:%Y-%m-%dT%H:%M:%S}.1234567Z", "Text": json.dumps(text)}


def told(*events: dict[str, Any]) -> RoomApp:
    return room_app(events, at=AT)


def reported(
    app: RoomApp | None, *, peripherals: list[Peripheral] | None = None, running: bool | None = True
) -> Any:
    facts = Facts(
        "windows", Devices(peripherals=peripherals, room_app=app), System(), {}, app_running=running
    )
    return {key: each[0] for key, each in signals(facts).items()}


FINE = (event(2000), event(3000))


def test_an_app_that_is_fine_makes_everything_it_knows_healthy():
    seen = reported(told(*FINE))
    healthy = (
        "signin_exchange",
        "signin_teams",
        "app_heartbeat",
        "spk_default",
        "hdmi_ingest",
        "camera_content",
    )
    assert {seen[key].state for key in (*healthy, "camera_room", "mic_conf", "display_front")} == {"healthy"}


def test_a_failed_heartbeat_names_what_cannot_sign_in():
    seen = reported(told(event(2001, BEAT_FAILED), event(3000)))
    assert (seen["signin_exchange"].state, seen["signin_exchange"].detail) == (
        "unhealthy",
        "Exchange: generalerror",
    )
    assert seen["signin_teams"].state == "unhealthy"
    assert seen["app_heartbeat"].state == "healthy"  # it beats, and says what is wrong


@pytest.mark.parametrize(
    ("word", "state"),
    [("Connected", "healthy"), ("Connecting", "unknown"), ("AutodiscoveryError", "unhealthy")],
)
def test_exchange_in_its_words(word, state):
    text = f"Network status : Healthy. Exchange status : {word}. Signin status: Unhealthy."
    assert reported(told(event(2001, text)))["signin_exchange"].state == state


def test_without_a_word_of_teams_the_older_sign_in_counts():
    text = "Network status : Healthy. Exchange status : Connected. Signin status: Unhealthy."
    assert reported(told(event(2001, text)))["signin_teams"].state == "unhealthy"


def test_missing_displays_are_told_with_how_many_there_should_be():
    seen = reported(told(event(2000), event(3001, TWO_DISPLAYS_GONE)))
    assert (seen["display_front"].state, seen["display_front"].detail) == (
        "unhealthy",
        "0 of 2 displays found",
    )
    assert seen["mic_conf"].state == "unhealthy"
    assert seen["spk_default"].state == "healthy"


def test_the_app_knows_that_another_camera_than_the_configured_one_is_there():
    camera = Peripheral("camera", records=True, plays=True)
    seen = reported(told(event(2000), event(3001, ALL_AUDIO_GONE)), peripherals=[camera])
    assert [seen[key].state for key in ("camera_room", "mic_conf", "spk_conf", "spk_default")] == [
        "unhealthy"
    ] * 4
    assert seen["hdmi_ingest"].state == "healthy"


def test_what_this_machine_saw_go_stays_gone_until_it_is_back_whatever_the_app_said_before():
    facts = Facts(
        "windows",
        Devices(peripherals=[], room_app=told(*FINE)),
        System(),
        {"camera_room": 1},
        app_running=True,
    )
    assert signals(facts)["camera_room"][0].state == "unhealthy"


def test_the_newest_event_counts_whatever_the_order():
    older = event(3001, ALL_AUDIO_GONE, ago=timedelta(minutes=7))
    assert reported(told(event(3000), older, event(2000)))["mic_conf"].state == "healthy"


def test_an_app_that_fell_silent_is_a_fault_and_its_last_words_are_none():
    late = RECENT + timedelta(seconds=1)
    seen = reported(told(event(2000, ago=late), event(3001, ALL_AUDIO_GONE, ago=late)))
    assert seen["app_heartbeat"].state == "unhealthy"
    assert seen["signin_teams"].state == seen["spk_default"].state == "unknown"
    just = RECENT - timedelta(seconds=1)
    assert reported(told(event(2000, ago=just)))["app_heartbeat"].state == "healthy"


def test_an_app_that_starts_again_and_again_is_a_fault():
    starts = [event(4000, "App restarts.", ago=timedelta(minutes=each)) for each in (5, 20, 40)]
    assert reported(told(*FINE, *starts))["app_heartbeat"].state == "unhealthy"
    assert reported(told(*FINE, *starts[1:]))["app_heartbeat"].state == "healthy"


def test_a_process_that_is_gone_needs_no_event():
    assert reported(told(*FINE), running=False)["app_heartbeat"].detail == "the meeting app is not running"


def test_without_the_log_nothing_is_said_of_it():
    assert "signin_teams" not in reported(None)


def test_the_room_account_and_its_name_stay_on_the_machine():
    assert "halden" not in repr(told(*FINE))
    assert told(*FINE).version == "4.7.15.0"


@pytest.mark.parametrize("text", ["", "not json", "[]", None])
def test_an_event_of_another_form_is_not_guessed(text):
    with pytest.raises(ValueError):  # noqa: PT011 the reader's frame names the part that failed
        room_app([{"Id": 2001, "At": f"{AT:%Y-%m-%dT%H:%M:%S}Z", "Text": text}], at=AT)


def test_statuses_are_read_whatever_the_blanks():
    assert statuses("Camera status: Healthy.HDMI Ingest  status :Unhealthy. ") == {
        "camera": "healthy",
        "hdmi ingest": "unhealthy",
    }
