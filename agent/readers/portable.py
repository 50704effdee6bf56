"""What psutil and the standard library tell alike on every platform."""

import os
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil
import requests

_PROCESSOR_SENSORS = ("coretemp", "k10temp", "cpu_thermal", "acpitz")
_REACH_S = 3.0


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk the system lives on."""

    total_bytes: int
    free_bytes: int

    @property
    def free_pct(self) -> float:
        return self.free_bytes / self.total_bytes * 100 if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether the service's port answers; `rtt_ms` is what connecting took, `reason` why it did not."""

    reached: bool
    rtt_ms: float = 0.0
    reason: str = ""


def system_disk() -> Disk:
    root = f"{os.environ.get('SYSTEMDRIVE', 'C:')}\\" if sys.platform == "win32" else "/"
    usage = psutil.disk_usage(root)
    return Disk(usage.total, usage.free)


def cpu_pct() -> float:
    """Since the last call; the first call answers 0."""
    return psutil.cpu_percent(interval=None)


def memory_pct() -> float:
    return float(psutil.virtual_memory().percent)


def temperature_c() -> float | None:
    """The hottest processor sensor; None where the platform has none (Windows among them)."""
    read = getattr(psutil, "sensors_temperatures", None)
    sensors = read() if read else {}
    found = [
        each.current for name in _PROCESSOR_SENSORS for each in sensors.get(name, []) if each.current > 0
    ]
    return max(found) if found else None


def uptime_s() -> float:
    return max(0.0, time.time() - psutil.boot_time())


def addresses(interface: str) -> list[str]:
    """Its IPv4 addresses, sorted. IPv6 is left out: privacy addresses change every day."""
    found = psutil.net_if_addrs().get(interface, [])
    return sorted(each.address for each in found if each.family == socket.AF_INET)


def is_running(process: str) -> bool:
    """Is there a process of that name? Case and a final .exe do not matter."""
    wanted = _plain(process)
    return any(_plain(each.info["name"] or "") == wanted for each in psutil.process_iter(["name"]))


def first_running(processes: Iterable[str]) -> str:
    return next((each for each in processes if is_running(each)), "")


def reach(url: str) -> Reach:
    """Connect to the service, or to the proxy that leads there, and hang up."""
    proxy = requests.utils.get_environ_proxies(url).get(urlsplit(url).scheme)
    target = urlsplit(proxy if proxy and "://" in proxy else f"http://{proxy}" if proxy else url)
    port = target.port or (443 if target.scheme == "https" else 80)
    started = time.perf_counter()
    try:
        socket.create_connection((target.hostname or "", port), timeout=_REACH_S).close()
    except TimeoutError:
        return Reach(False, reason="the service does not answer")
    except OSError as error:
        return Reach(False, reason=f"the service is not reached: {error.strerror or error}")
    return Reach(True, round((time.perf_counter() - started) * 1000, 1))


def _plain(process: str) -> str:
    return process.lower().removesuffix(".exe")
