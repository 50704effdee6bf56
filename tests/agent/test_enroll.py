import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.enroll import key_id
from agent.errors import AgentError
from agent.home import hold
from agent.spool import Spool
from agent.state import load_state
from tests.agent import standin


def agent(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, "no_proxy": "127.0.0.1", **environment},
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("greenroom-agent: ")
    return line


def test_a_machine_enrolls_with_its_own_key_and_real_facts(service, home):
    done = agent(
        home,
        "enroll",
        "--url",
        service.url,
        "--key",
        standin.KEY,
        "--room",
        "Room 1",
        "--resource-account",
        "r1@example.com",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "device 0190-device is onboarding: accept it to a room in the portal\n"
    [body] = service.enrollments  # the stand-in has checked the signature
    assert body["platform"] == ("windows" if sys.platform == "win32" else "linux")
    assert body["kind"] == "room_system"
    assert body["hardware"]["make"]
    assert body["room"] == {"name": "Room 1", "resource_account": "r1@example.com"}
    state = load_state(home)
    assert (state.device_id, state.token) == ("0190-device", "grdt_1")
    assert state.heartbeat_url == f"{service.url}/device/v1/heartbeats"


def test_nobody_else_can_read_the_secrets(service, tmp_path):
    home = tmp_path / "new" / "home"
    assert agent(home, "enroll", "--url", service.url, "--key", standin.KEY).returncode == 0
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for secret in ("device-key.pem", "state.json", "spool.db"):
        assert stat.S_IMODE((home / secret).stat().st_mode) == 0o600


def test_the_key_may_come_from_a_file_or_the_environment(service, home, tmp_path):
    (tmp_path / "key").write_text(standin.KEY + "\n")
    assert agent(home, "enroll", "--url", service.url, "--key-file", str(tmp_path / "key")).returncode == 0
    assert agent(home, "enroll", "--url", service.url, GREENROOM_KEY=standin.KEY).returncode == 0
    assert service.enrollments[0]["room"] == {}


def test_a_repeated_enrollment_is_the_same_device_and_keeps_what_waits(service, home, noon):
    agent(home, "enroll", "--url", service.url, "--key", standin.KEY)
    spool = Spool(home / "spool.db")
    spool.append({"signals": {}}, noon)
    epoch = spool.epoch
    spool.close()
    agent(home, "enroll", "--url", service.url, "--key", standin.KEY)
    first, second = service.enrollments
    assert first["public_key"] == second["public_key"]
    spool = Spool(home / "spool.db")
    assert (spool.epoch, spool.count) == (epoch, 1)
    assert load_state(home).token == "grdt_2"


def test_a_home_enrolled_as_another_device_starts_with_an_empty_spool(service, home, noon):
    agent(home, "enroll", "--url", service.url, "--key", standin.KEY)
    spool = Spool(home / "spool.db")
    spool.append({"signals": {}}, noon)
    spool.close()
    service.enroll_answer = {"device_id": "0190-other"}
    agent(home, "enroll", "--url", service.url, "--key", standin.KEY)
    assert Spool(home / "spool.db").count == 0


def test_what_the_room_expects_is_kept(service, home):
    service.enroll_answer = {"expected": {"camera_room": 1, "display_front": 2}}
    agent(home, "enroll", "--url", service.url, "--key", standin.KEY)
    assert load_state(home).expected["display_front"] == 2
    assert "1 camera_room, 2 display_front" in agent(home, "status").stdout


def test_no_server_is_one_clear_line(home, service):
    line = one_line(agent(home, "enroll", "--url", "http://127.0.0.1:1", "--key", standin.KEY))
    assert "no answer from http://127.0.0.1:1/device/v1/enroll/challenge: Connection refused" in line


def test_a_key_that_is_not_accepted_is_one_clear_line(home, service):
    other = standin.KEY.replace("abc123", "abc124")
    line = one_line(agent(home, "enroll", "--url", service.url, "--key", other))
    assert "does not accept this enrollment key" in line


def test_a_refused_device_is_told_why(home, service):
    service.enroll_problem = (422, {"title": "Refused", "detail": "Rooms in this country are not supported."})
    line = one_line(agent(home, "enroll", "--url", service.url, "--key", standin.KEY))
    assert line.endswith("the service refused this device: Rooms in this country are not supported.")


def test_another_server_at_that_address_is_one_clear_line(home, service):
    service.enroll_problem = (200, {"hello": "world"})
    assert "without a device or token" in one_line(
        agent(home, "enroll", "--url", service.url, "--key", standin.KEY)
    )


@pytest.mark.parametrize(
    "key", ["", "hello", standin.KEY[:-1], standin.KEY + "x", standin.KEY.replace("grek", "grat")]
)
def test_half_a_key_is_noticed_before_anything_is_sent(home, service, key):
    line = one_line(agent(home, "enroll", "--url", service.url, GREENROOM_KEY=key))
    assert "enrollment key" in line
    assert service.calls == []


def test_the_secret_may_contain_the_separator():
    assert key_id("grek_abcdefghij23_" + "_" * 43 + "_a1_2-3") == "abcdefghij23"
    with pytest.raises(AgentError):
        key_id("grek_abcdefghij23_" + "+" * 43 + "_a1B2c3")


def test_what_needs_an_enrollment_says_so(home):
    for command in ("run", "status"):
        assert "is not enrolled" in one_line(agent(home, command))


def test_a_home_that_cannot_be_used_is_one_clear_line(tmp_path, service):
    (tmp_path / "file").write_text("")
    line = one_line(agent(tmp_path / "file" / "home", "enroll", "--url", service.url, "--key", standin.KEY))
    assert "cannot use" in line


def test_damaged_state_is_one_clear_line(home):
    (home / "state.json").write_text('{"url": ')
    assert "enroll again" in one_line(agent(home, "run"))
    (home / "state.json").write_text(json.dumps({"url": "http://h"}))
    assert "enroll again" in one_line(agent(home, "status"))


def test_a_running_agent_is_not_disturbed(home, service):
    with hold(home):
        line = one_line(agent(home, "enroll", "--url", service.url, "--key", standin.KEY))
    assert "another agent is running" in line
    assert service.calls == []


def test_a_wrong_command_is_told_how_to_ask(home):
    done = agent(home, "enroll")
    assert done.returncode == 2
    assert "--url" in done.stderr
    assert agent(home, "run", "--fault", "nonsense").returncode == 1
    assert agent(home, "run", "--interval", "0").returncode == 2


def test_drill_faults_are_managed_while_the_agent_may_run(home):
    assert agent(home, "fault", "add", "camera_room").returncode == 0
    assert agent(home, "fault", "list").stdout == "camera_room:drill on\n"
    agent(home, "fault", "clear", "camera_room")
    assert agent(home, "fault", "list").stdout == "camera_room:drill over\n"
    assert "not a signal" in one_line(agent(home, "fault", "add", "camera"))
    assert "name a signal" in one_line(agent(home, "fault", "add"))
