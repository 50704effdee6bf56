"""The command line: `greenroom-agent`, or `python -m agent`."""

import argparse
import json
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from agent import __version__
from agent.clock import Clock, ServiceClock, written
from agent.enroll import enroll
from agent.errors import AgentError
from agent.faults import load_faults, parse_fault, set_fault, set_faults_of_run
from agent.home import default_home, hold, make_home
from agent.identity import load_identity
from agent.readers import portable, reader_for_this_machine
from agent.runner import Runner
from agent.signals import counts
from agent.spool import Spool
from agent.state import State, load_state
from agent.updates import Updater
from agent.watch import Watch

_MEETING_APPS = ("Microsoft.SkypeRoomSystem.exe",)  # Teams Rooms on Windows

log = logging.getLogger("agent")


def main(arguments: Sequence[str] | None = None) -> int:
    """The process's exit code: 0 done, 1 could not, 2 asked wrongly."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    log.setLevel(logging.DEBUG if options.verbose else logging.INFO)
    try:
        options.do(options)
    except AgentError as error:
        print(f"greenroom-agent: {error}", file=sys.stderr)
        return 1
    except sqlite3.Error as error:
        print(f"greenroom-agent: the spool in {options.home} failed: {error}", file=sys.stderr)
        return 1
    except (
        BrokenPipeError
    ):  # whoever read our output has seen enough; what is left must not be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        log.info("stopped")
    return 0


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--home", type=Path, default=default_home(), help="where key, state and spool are kept (%(default)s)"
    )
    shared.add_argument("--verbose", action="store_true", help="say more")
    parser = argparse.ArgumentParser(prog="greenroom-agent", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("enroll", parents=[shared], help="register this machine with a service")
    command.add_argument("--url", required=True, help="the service, like https://greenroom.example.com")
    key = command.add_mutually_exclusive_group()
    key.add_argument("--key", help="the enrollment key; seen by others in the list of processes")
    key.add_argument("--key-file", type=Path, help="a file with the key; else GREENROOM_KEY is read")
    command.add_argument("--room", help="the room's name")
    command.add_argument("--resource-account", help="the room's account, like room1@example.com")
    command.add_argument("--app-process", help="the meeting app's process, to be told when it is not running")
    command.set_defaults(do=_enroll)

    command = commands.add_parser("run", parents=[shared], help="watch and report, until stopped")
    command.add_argument(
        "--fault", action="append", default=[], metavar="SIGNAL[:INSTANCE]", help="inject a fault for a drill"
    )
    command.add_argument(
        "--interval", type=_seconds, help="seconds between heartbeats, whatever the service asks"
    )
    command.set_defaults(do=_run)

    command = commands.add_parser("status", parents=[shared], help="say how things are")
    command.set_defaults(do=_status)

    command = commands.add_parser("readings", parents=[shared], help="print what this machine tells, as JSON")
    command.set_defaults(do=_readings)

    command = commands.add_parser(
        "fault", parents=[shared], help="faults for a drill, also while the agent runs"
    )
    command.add_argument("action", choices=["add", "clear", "list"])
    command.add_argument("fault", nargs="?", metavar="SIGNAL[:INSTANCE]")
    command.set_defaults(do=_fault)
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError("0.1 to 3600 seconds")
    return value


def _enroll(options: argparse.Namespace) -> None:
    key = _key(options)
    make_home(options.home)
    with hold(options.home):
        reader = reader_for_this_machine()
        room = {"name": options.room, "resource_account": options.resource_account}
        state, status = enroll(
            options.home,
            url=options.url,
            key=key,
            room={name: value for name, value in room.items() if value},
            platform=reader.platform,
            hardware=reader.hardware(),
            devices=reader.devices(),
            app_process=options.app_process or portable.first_running(_MEETING_APPS),
        )
    host = urlsplit(state.url)
    if host.scheme == "http" and host.hostname not in ("localhost", "127.0.0.1", "::1"):
        log.warning("the connection to %s is not encrypted", host.hostname)
    waits = {
        "onboarding": "onboarding: accept it to a room in the portal",
        "pending": "pending: somebody has to approve it in the portal",
    }
    print(f"device {state.device_id} is {waits.get(status, status or 'enrolled')}")


def _key(options: argparse.Namespace) -> str:
    try:
        key = options.key or (
            options.key_file.read_text() if options.key_file else os.environ.get("GREENROOM_KEY", "")
        )
    except (OSError, UnicodeDecodeError) as error:
        raise AgentError(f"cannot read the key: {error}") from None
    if not key.strip():
        raise AgentError("no enrollment key: give --key, --key-file or GREENROOM_KEY")
    return str(key.strip())


def _run(options: argparse.Namespace) -> None:
    faults = [parse_fault(each) for each in options.fault]
    state = _enrolled(options.home)
    # As for Ctrl-C: what is kept is safe at any point, so there is nothing to finish first.
    for number in (signal.SIGTERM, signal.SIGINT):  # the latter is ignored where a shell started us beside it
        signal.signal(number, signal.default_int_handler)
    with hold(options.home):
        set_faults_of_run(options.home, faults)
        spool = Spool(options.home / "spool.db")
        spool.belong_to(state.device_id)
        identity = load_identity(options.home / "device-key.pem")
        reader = reader_for_this_machine()
        updater = Updater(options.home, state.url, state.device_id, lambda: state.token)
        updater.start()
        Runner(options.home, state, identity, spool, reader, interval_s=options.interval).run()


def _status(options: argparse.Namespace) -> None:
    state = _enrolled(options.home)
    lines = {
        "device": state.device_id,
        "service": state.url,
        "heartbeats to": state.heartbeat_url,
        "token": f"valid until {state.expires_at}" if state.token else "revoked by the service",
        "expected": ", ".join(f"{count} {key}" for key, count in sorted(state.expected.items()))
        or "nothing known",
    }
    if (path := options.home / "spool.db").exists():
        spool = Spool(path)
        last = spool.last_reply_at
        lines["last answer"] = written(last) if last else "none yet"
        lines["kept"] = f"{spool.count} of {spool.highest} heartbeats not yet stored by the service"
        spool.close()
    if drills := [each.name for each in load_faults(options.home) if each.active]:
        lines["drill faults"] = ", ".join(drills)
    for name, value in lines.items():
        print(f"{name + ':':15}{value}")


def _readings(options: argparse.Namespace) -> None:
    reader = reader_for_this_machine()
    state = load_state(options.home)
    watch = Watch(options.home, state or _nobody(), reader, ServiceClock())
    if state:
        watch.reach()
    look = watch.look(Clock().now())
    found = {
        "platform": reader.platform,
        "heartbeat": watch.heartbeat(look),
        "counted": counts(look.facts.devices),
        "expected": dict(look.facts.expected),
        "disks": None
        if look.facts.system.disks is None
        else [asdict(each) for each in look.facts.system.disks],
        "inventory": look.inventory,
    }
    print(json.dumps(found, indent=2, ensure_ascii=False))


def _fault(options: argparse.Namespace) -> None:
    if options.action == "list":
        for each in load_faults(options.home):
            print(f"{each.name} {'on' if each.active else 'over'}")
        return
    if not options.fault:
        raise AgentError("name a signal, like camera_room")
    make_home(options.home)
    set_fault(options.home, parse_fault(options.fault), active=options.action == "add")


def _enrolled(home: Path) -> State:
    state = load_state(home)
    if state is None:
        raise AgentError(f"this machine is not enrolled ({home}); run `greenroom-agent enroll` first")
    return state


def _nobody() -> State:
    """For reading a machine that is not enrolled: nothing is expected of it."""
    return State(url="", heartbeat_url="", device_id="", token="", expires_at="", interval_s=60.0)
