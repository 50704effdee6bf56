"""Updates on the device: asks what to install, fetches it in parts, hands it to the program that installs it, reports.

Speaks Direct Device Integration with the device's own token. Nothing is installed by itself: whoever runs the machine
puts a program for each kind of update into `installers/` of the agent's home, `os` or `application`; without that folder
the agent never asks. The program is called with the file, the product and the version, checks its maker's signature,
and ends with 0 once it is installed.
"""

import hashlib
import json
import logging
import os
import platform
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from agent import __version__
from agent.backoff import Backoff
from agent.errors import AgentError, NoAnswer, ServiceError
from agent.home import write_json

CONNECT_S, READ_S = 5.0, 30.0
PIECE_BYTES = 256 * 1024
ASK_AGAIN_EACH_BYTES = 16 * 1024 * 1024  # of a download: it may have been called off
LARGEST_ANSWER = 200_000
INSTALL_TAKES_S = 3600.0
USUAL_SLEEP_S = 300.0
MOST_LINES, LONGEST_LINE = 10, 200
PARTS = {"bApp": "application", "jvm": "runtime"}  # names of old that the protocol keeps
FOLDER, KEPT = "installers", "update.json"

log = logging.getLogger("agent")


class CalledOff(AgentError):
    """The service took the update back."""


class CannotInstall(AgentError):
    """The update cannot be installed here; its message tells why."""


@dataclass(frozen=True)
class Update:
    """One action of the service."""

    number: str
    part: str
    product: str
    version: str
    file: str
    size: int
    sha256: str
    href: str
    only_fetch: bool = False  # another action installs it


@dataclass
class Progress:
    """What is on disk of it, so that a restart goes on where it was."""

    number: str = ""
    stage: str = ""  # fetching, downloaded (and no more was asked), installing, done
    said: str = ""  # why it failed; empty: it did not
    sha256: str = ""  # of the file: another action for the same goes on with what is there


class Updater:
    """One thread beside the heartbeats: a long download holds nobody up. Every step may be cut off at any point."""

    def __init__(
        self,
        home: Path,
        url: str,
        device_id: str,
        token: Callable[[], str],
        *,
        backoff: Backoff | None = None,
    ) -> None:
        """`url`: the device API. `token` is asked for each time: it is renewed meanwhile."""
        self._home, self._token = home, token
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._base = (
            f"{self._origin}{parts.path.removesuffix('/device/v1')}/DEFAULT/controller/v1/{device_id}"
        )
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"greenroom-agent/{__version__}"
        self._session.trust_env = True
        self._backoff = backoff or Backoff()
        self._stop = threading.Event()

    @property
    def wanted(self) -> bool:
        return (self._home / FOLDER).is_dir()

    def start(self) -> None:
        if self.wanted:
            threading.Thread(target=self._run, name="updates", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                wait_s = self.turn()
                self._backoff.succeeded()
            except ServiceError as error:
                wait_s = self._backoff.failed(error.retry_after_s)
                log.warning("updates: %s", error)
            except (AgentError, OSError) as error:
                wait_s = self._backoff.failed()
                log.warning("updates: %s", error)
            self._stop.wait(wait_s)

    def turn(self) -> float:
        """One poll and what follows from it. Returns the seconds to the next. Raises AgentError, OSError."""
        told = self._get(self._base)
        links = _links(told)
        sleep_s = _sleep_s(told)
        if "configData" in links:
            self._send("PUT", f"{self._base}/configData", {"mode": "merge", "data": _attributes()})
        if "cancelAction" in links:
            self._call_off(_number(links["cancelAction"]))
        elif "deploymentBase" in links:
            self._deploy(self._own(links["deploymentBase"]))
        return sleep_s

    # Steps ---------------------------------------------------------------------------------------------------------

    def _call_off(self, number: str) -> None:
        """Nothing is being installed while we ask, so it can always be dropped."""
        self._forget()
        self._report(number, "closed", "success", ["Dropped."], on="cancelAction")

    def _deploy(self, address: str) -> None:
        update = _read(self._get(address))
        self._own({"href": update.href})
        progress = self._progress()
        if progress.number != update.number:
            if progress.sha256 != update.sha256:
                self._forget()
            progress = Progress(update.number, "fetching", sha256=update.sha256)
            self._keep(progress)
        if progress.stage == "installing":  # we were stopped meanwhile: whether it was done nobody knows
            progress = Progress(update.number, "done", "The agent was stopped while it was installed.")
            self._keep(progress)
        if progress.stage == "fetching":
            progress = self._fetch_and_install(update)
        if progress.stage == "downloaded":
            self._report(update.number, "downloaded", "success", ["Fetched and checked."])
            return
        self._report(
            update.number, "closed", "failure" if progress.said else "success", progress.said.splitlines()
        )
        self._drop_file()

    def _fetch_and_install(self, update: Update) -> Progress:
        try:
            program = self._program(update)
            self._report(update.number, "download", "none", [f"Fetching {update.file}."])
            path = self._fetch(update)
            if update.only_fetch:
                fetched = Progress(update.number, "downloaded", sha256=update.sha256)
                self._keep(fetched)
                return fetched
            self._report(update.number, "downloaded", "none", ["Fetched and checked."])
            self._keep(Progress(update.number, "installing"))
            self._install(program, path, update)
            done = Progress(update.number, "done")
        except CannotInstall as error:
            done = Progress(update.number, "done", str(error))
        self._keep(done)
        return done

    def _program(self, update: Update) -> Path:
        name = PARTS.get(update.part, update.part)
        known = {path.stem: path for path in (self._home / FOLDER).iterdir() if path.is_file()}
        if name not in known:
            raise CannotInstall(f"Nothing here installs updates of the kind {name[:40]}.")
        return known[name]

    def _fetch(self, update: Update) -> Path:
        """Goes on where an earlier try ended. Raises CannotInstall for content that is not the one announced."""
        path = self._home / "update.part"
        have = path.stat().st_size if path.exists() else 0
        if have > update.size:
            path.unlink()
            have = 0
        if have < update.size:
            self._download(update, path, have)
        digest = hashlib.sha256()
        with path.open("rb") as source:
            while piece := source.read(PIECE_BYTES):
                digest.update(piece)
        if path.stat().st_size != update.size or digest.hexdigest() != update.sha256:
            path.unlink()
            raise CannotInstall("What was fetched is not what was announced.")
        return path

    def _download(self, update: Update, path: Path, have: int) -> None:
        headers = {"Range": f"bytes={have}-"} if have else {}
        asked = have
        with self._open("GET", update.href, headers=headers) as response:
            if response.status_code == 206 and have:
                mode = "ab"
            elif response.status_code == 200:
                mode, have = "wb", 0
            else:
                raise ServiceError(
                    f"{update.file}: the service answered {response.status_code}", status=response.status_code
                )
            try:
                with path.open(mode) as target:
                    for piece in response.iter_content(PIECE_BYTES):
                        have += len(piece)
                        if have > update.size:
                            raise CannotInstall("More came than was announced.")
                        target.write(piece)
                        if have - asked > ASK_AGAIN_EACH_BYTES:
                            asked = have
                            self._ask_whether_called_off()
                    target.flush()
                    os.fsync(target.fileno())
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise NoAnswer(f"{update.file}: the connection was lost after {have} bytes") from error
        if have < update.size:
            raise NoAnswer(f"{update.file}: the connection was lost after {have} bytes")

    def _ask_whether_called_off(self) -> None:
        links = _links(self._get(self._base))
        if "cancelAction" in links:
            self._call_off(_number(links["cancelAction"]))
            raise CalledOff("the update was called off")

    def _install(self, program: Path, path: Path, update: Update) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - put there by whoever runs the machine
                [str(program), str(path), update.product, update.version],
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=INSTALL_TAKES_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CannotInstall("The installer did not end within an hour.") from None
        except OSError as error:
            raise CannotInstall(f"The installer cannot be run: {error.strerror}.") from None
        if done.returncode != 0:
            lines = done.stdout.decode(errors="replace").split("\n")
            said = [line.strip()[:LONGEST_LINE] for line in lines if line.strip()][-MOST_LINES:]
            raise CannotInstall("\n".join([f"The installer ended with {done.returncode}.", *said]))

    # What is kept --------------------------------------------------------------------------------------------------

    def _progress(self) -> Progress:
        try:
            found = json.loads((self._home / KEPT).read_text())
            needed = {name: str(found[name]) for name in ("number", "stage", "said")}
            return Progress(**needed, sha256=str(found.get("sha256", "")))
        except (OSError, ValueError, KeyError, TypeError):
            return Progress()

    def _keep(self, progress: Progress) -> None:
        write_json(self._home / KEPT, asdict(progress))

    def _forget(self) -> None:
        self._drop_file()
        (self._home / KEPT).unlink(missing_ok=True)

    def _drop_file(self) -> None:
        (self._home / "update.part").unlink(missing_ok=True)

    # The service ---------------------------------------------------------------------------------------------------

    def _report(
        self, number: str, execution: str, finished: str, details: list[str], *, on: str = "deploymentBase"
    ) -> None:
        body = {"status": {"execution": execution, "result": {"finished": finished}, "details": details}}
        self._send("POST", f"{self._base}/{on}/{number}/feedback", body)

    def _get(self, address: str) -> dict[str, Any]:
        with self._open("GET", address) as response:
            content = response.raw.read(LARGEST_ANSWER + 1, decode_content=True)
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if response.status_code != 200 or not isinstance(found, dict):
            raise ServiceError(f"{address} answered {response.status_code}", status=response.status_code)
        return found

    def _send(self, method: str, address: str, body: dict[str, Any]) -> None:
        with self._open(method, address, json=body) as response:
            status = response.status_code
        if status not in (200, 410):  # 410: it is over there already
            raise ServiceError(f"{address} answered {status}", status=status)

    def _open(self, method: str, address: str, **more: Any) -> requests.Response:
        token = self._token()
        if not token:
            raise ServiceError("this device has no token")
        headers = {"Authorization": f"TargetToken {token}", **more.pop("headers", {})}
        try:
            return self._session.request(
                method,
                address,
                headers=headers,
                timeout=(CONNECT_S, READ_S),
                allow_redirects=False,  # the token is for this address alone
                stream=True,
                **more,
            )
        except (requests.RequestException, OSError) as error:
            raise NoAnswer(f"no answer from {address.partition('?')[0]}: {type(error).__name__}") from None

    def _own(self, link: object) -> str:
        """An address of the service itself. Raises ServiceError for any other: it would be given the token."""
        href = link.get("href") if isinstance(link, dict) else None
        if not isinstance(href, str) or not href.startswith(f"{self._origin}/"):
            raise ServiceError("the service names an address that is not its own")
        return href


def _read(document: dict[str, Any]) -> Update:
    """The first file of the first chunk. Raises ServiceError."""
    try:
        chunk = document["deployment"]["chunks"][0]
        file = chunk["artifacts"][0]
        update = Update(
            number=str(int(document["id"])),
            part=str(chunk["part"]),
            product=str(chunk["name"]),
            version=str(chunk["version"]),
            file=str(file["filename"]),
            size=int(file["size"]),
            sha256=str(file["hashes"]["sha256"]),
            href=str(file["_links"]["download"]["href"]),
            only_fetch=document["deployment"].get("update") == "skip",
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise ServiceError("the service's deployment makes no sense") from None
    if "/" in update.part or update.size < 0:
        raise ServiceError("the service's deployment makes no sense")
    return update


def _links(told: dict[str, Any]) -> dict[str, Any]:
    found = told.get("_links")
    return found if isinstance(found, dict) else {}


def _number(link: object) -> str:
    href = link.get("href") if isinstance(link, dict) else None
    last = str(href).rpartition("/")[2]
    if not last.isdigit():
        raise ServiceError("the service's answer makes no sense")
    return last


def _sleep_s(told: dict[str, Any]) -> float:
    """`HH:MM:SS`, within sense."""
    try:
        hours, minutes, seconds = (int(part) for part in told["config"]["polling"]["sleep"].split(":"))
    except (KeyError, TypeError, ValueError, AttributeError):
        return USUAL_SLEEP_S
    return float(min(max(hours * 3600 + minutes * 60 + seconds, 5), 86_400))


def _attributes() -> dict[str, str]:
    """`handles_skip`: what is only to be fetched is not installed."""
    return {"agent": __version__, "platform": platform.system().lower(), "handles_skip": "true"}
