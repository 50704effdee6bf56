import json
import time

import pytest

from agent.errors import AgentError
from agent.faults import INJECTED, OVER, injected, load_faults, parse_fault, set_fault, set_faults_of_run
from agent.signals import Reported

REAL = {"camera_room": [Reported("unknown")], "network": [Reported("healthy")]}


def on(home, *faults):
    for each in faults:
        set_fault(home, parse_fault(each), active=True)


def test_a_drill_stands_beside_the_real_state_and_is_plainly_marked(home):
    on(home, "camera_room")
    assert injected(REAL, load_faults(home)) == {
        "camera_room": [Reported("unknown"), Reported("unhealthy", INJECTED, "drill")],
        "network": [Reported("healthy")],
    }
    assert REAL["camera_room"] == [Reported("unknown")]


def test_a_healed_drill_is_healthy_and_the_real_state_still_its_own(home):
    on(home, "camera_room")
    set_fault(home, parse_fault("camera_room"), active=False)
    assert injected(REAL, load_faults(home))["camera_room"] == [
        Reported("unknown"),
        Reported("healthy", OVER, "drill"),
    ]


def test_a_named_instance_is_replaced_while_the_drill_lasts(home):
    real = {"disk_health": [Reported("unknown", instance="sda"), Reported("healthy", instance="sdb")]}
    on(home, "disk_health:sda")
    faults = injected(real, load_faults(home))["disk_health"]
    assert faults == [Reported("healthy", instance="sdb"), Reported("unhealthy", INJECTED, "sda")]
    set_fault(home, parse_fault("disk_health:sda"), active=False)
    assert injected(real, load_faults(home)) == real


def test_a_fault_of_a_run_is_over_when_the_next_run_does_not_give_it(home):
    on(home, "network")
    set_faults_of_run(home, [parse_fault("camera_room"), parse_fault("mic_conf:2")])
    assert {each.name: each.active for each in load_faults(home)} == {
        "network:drill": True,
        "camera_room:drill": True,
        "mic_conf:2": True,
    }
    set_faults_of_run(home, [parse_fault("mic_conf:2")])
    assert {each.name: each.active for each in load_faults(home)} == {
        "network:drill": True,
        "camera_room:drill": False,
        "mic_conf:2": True,
    }


def test_a_drill_long_over_is_forgotten(home):
    on(home, "camera_room")
    set_fault(home, parse_fault("camera_room"), active=False)
    [fault] = json.loads((home / "faults").read_text())
    fault["changed_at"] = time.time() - 9 * 86400
    (home / "faults").write_text(json.dumps([fault]))
    assert load_faults(home) == []


def test_without_faults_nothing_is_written(home):
    set_faults_of_run(home, [])
    assert not (home / "faults").exists()


@pytest.mark.parametrize("text", ["", "camera", "offline", "camera_room:a b", "camera_room:" + "x" * 50])
def test_only_signals_of_this_agent_can_be_faulted(text):
    with pytest.raises(AgentError):
        parse_fault(text)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "camera_room",
        "5",
        '[{"signal": "nonsense"}]',
        "[[]]",
        '[{"x": 1}]',
        '[{"signal": "network", "changed_at": "x"}]',
    ],
)
def test_a_file_that_makes_no_sense_is_refused_in_one_line(home, content):
    (home / "faults").write_text(content)
    with pytest.raises(AgentError, match="begins it anew"):
        load_faults(home)
    on(home, "network")
    assert [each.name for each in load_faults(home)] == ["network:drill"]
