"""One simulated room: what its device would tell at each step. Pure and deterministic by seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

STEP_S = 60  # a step stands for a minute of the room's life


@dataclass(frozen=True)
class Fault:
    """A signal that fails now and then. Means are of exponential distributions, in steps."""

    signal: str
    detail: str
    mean_length: float
    weight: float


FAULTS = (
    Fault("camera_room", "No video device", 12, 3),
    Fault("mic_conf", "Conference microphone not found", 10, 2),
    Fault("spk_conf", "Conference speaker not found", 10, 1),
    Fault("display_front", "1 of 2 displays connected", 25, 3),
    Fault("disk_space", "6 % of the system disk free", 90, 1),
    Fault("time_drift", "Clock is 412 s off", 40, 1),
    Fault("app_heartbeat", "The meeting app does not answer", 75, 1),
    Fault("network", "2 of 6 endpoints unreachable", 8, 2),
    Fault("wifi_only", "No wired connection", 60, 1),
)
SILENT = Fault("silent", "", 9, 2)  # the device says nothing at all
SIGNALS = tuple(fault.signal for fault in FAULTS)
MAKES = (
    ("Nordlys", "Room Base 3", "5.4.218.0"),
    ("Kontor", "Flex 160", "5.4.211.0"),
    ("Vesper", "Panorama One", "5.4.218.0"),
)
PERIPHERALS = (
    ("camera", "Nordlys", "Wide 4K", "2bd9", "0021"),
    ("microphone", "Vesper", "Ceiling Array", "2e1a", "4c01"),
    ("speaker", "Vesper", "Bar 2", "2e1a", "4d10"),
    ("display", "Kontor", "Wall 75", "", ""),
    ("display", "Kontor", "Wall 75", "", ""),
)
# How often a room fails: mean steps between two faults, and the share of rooms like that.
TEMPERS = ((900, 0.60), (150, 0.28), (40, 0.12))


@dataclass
class SimulatedRoom:
    """A room with its own random numbers: the same seed and number live the same life."""

    seed: int
    number: int
    step: int = 0
    _failing: dict[str, tuple[int, str]] = field(default_factory=dict)  # signal: (ends at step, detail)
    _random: random.Random = field(init=False)
    _mean_between: float = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed}/{self.number}")  # noqa: S311 - a simulation
        means, shares = zip(*TEMPERS, strict=True)
        (self._mean_between,) = self._random.choices(means, shares)
        behind, self.step = self.step, 0
        for _ in range(behind):  # live the same life again up to where it stopped
            self.advance()

    @property
    def hardware(self) -> dict[str, Any]:
        make, model, _ = MAKES[self.number % len(MAKES)]
        return {"make": make, "model": model, "serial": f"SIM{self.seed:04d}{self.number:06d}"}

    def advance(self) -> None:
        """One minute passes: faults end, another may begin."""
        self.step += 1
        self._failing = {signal: until for signal, until in self._failing.items() if until[0] > self.step}
        if self._random.random() < 1 / self._mean_between:
            faults = (*FAULTS, SILENT)
            (fault,) = self._random.choices(faults, [each.weight for each in faults])
            length = 2 + int(self._random.expovariate(1 / fault.mean_length))
            self._failing.setdefault(fault.signal, (self.step + length, fault.detail))

    @property
    def silent(self) -> bool:
        return SILENT.signal in self._failing

    def signals(self) -> dict[str, Any]:
        """The signals as a heartbeat tells them."""
        told: dict[str, Any] = dict.fromkeys(SIGNALS, "healthy")
        for signal, (_, detail) in self._failing.items():
            if signal in told:
                told[signal] = {"state": "unhealthy", "detail": detail}
        return told

    def reading(self, *, local_hour: int) -> dict[str, Any]:
        """What a heartbeat item holds besides its number and times."""
        busy = 8 <= local_hour < 18 and (self.step // 30 + self.number) % 3 == 0
        noise = random.Random(f"{self.seed}/{self.number}/{self.step}").random()  # noqa: S311
        _, _, app = MAKES[self.number % len(MAKES)]
        return {
            "signals": self.signals(),
            "versions": {"app": app, "os": "10.0.26100", "agent": "simulated"},
            "metrics": {
                "cpu_pct": round((35 if busy else 6) + 12 * noise, 1),
                "mem_pct": round(42 + 9 * noise, 1),
                "disk_free_pct": 6.0 if "disk_space" in self._failing else round(58 + 4 * noise, 1),
                "rtt_ms": round(9 + 20 * noise, 1),
                "loss_pct": 3.5 if "network" in self._failing else 0.0,
                "temp_c": round(44 + 8 * noise, 1),
            },
            "usage": {"in_meeting": busy, "people": 2 + self.number % 7 if busy else 0},
        }

    def inventory(self) -> dict[str, Any]:
        gone = {"camera": "camera_room", "microphone": "mic_conf", "speaker": "spk_conf"}
        return {
            "peripherals": [
                {
                    "kind": kind,
                    "make": make,
                    "model": model,
                    "vendor_id": vendor,
                    "product_id": product,
                    "serial": f"{self.hardware['serial']}-{place}",
                    "connected": gone.get(kind) not in self._failing,
                }
                for place, (kind, make, model, vendor, product) in enumerate(PERIPHERALS)
            ],
            "network": {"wired": "wifi_only" not in self._failing},
        }
