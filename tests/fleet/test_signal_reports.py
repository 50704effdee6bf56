"""The forms in which a heartbeat speaks of one signal, and what each means for the others."""

from __future__ import annotations

from fleet.heartbeat_format import Signal
from fleet.signal_reports import changes


def told(known, value):
    return [
        (change.instance, change.before, change.after) for change in changes(known, {"camera_room": value})
    ]


def test_a_word_after_an_object_heals_the_object():
    known = {}
    assert told(known, Signal("unhealthy", instance="1", detail="no video")) == [
        ("1", "unknown", "unhealthy")
    ]
    assert told(known, "healthy") == [("1", "unhealthy", "healthy")]
    assert told(known, "healthy") == []


def test_an_object_leaves_the_other_instances_alone():
    known = {}
    told(known, [Signal("healthy", instance="1"), Signal("unhealthy", instance="2")])
    assert told(known, Signal("unhealthy", instance="1")) == [("1", "healthy", "unhealthy")]
    assert known["camera_room", "2"][0] == "unhealthy"


def test_a_list_replaces_all_instances():
    known = {}
    told(known, [Signal("unhealthy", instance="1"), Signal("unhealthy", instance="2")])
    assert told(known, [Signal("unhealthy", instance="2")]) == [("1", "unhealthy", None)]


def test_unknown_is_said_of_every_instance_and_unhealthy_of_the_signal_as_a_whole():
    known = {}
    told(known, [Signal("unhealthy", instance="1"), Signal("healthy", instance="2")])
    assert told(known, "unknown") == [("1", "unhealthy", "unknown"), ("2", "healthy", "unknown")]
    assert told(known, "unhealthy") == [
        ("1", "unknown", None),
        ("2", "unknown", None),
        ("", "unknown", "unhealthy"),
    ]
