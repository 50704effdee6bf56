"""The Windows reader: asks PowerShell, understands its JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.readers import windows_devices, windows_queries, windows_room_app, windows_system
from agent.readers.facts import Attempts, Devices, Hardware, System


@dataclass(frozen=True, slots=True)
class WindowsReader:
    """`ask` puts one script to PowerShell; tests give recorded answers instead."""

    ask: Callable[[str], str] = windows_queries.ask_powershell
    now: Callable[[], datetime] = lambda: datetime.now(UTC)  # the clock that the events were written by
    platform: str = "windows"
    devices_every_s: float = 30.0  # each look starts PowerShell and costs about a second of processor time
    system_every_s: float = 3600.0

    def hardware(self) -> Hardware:
        attempt = Attempts()
        found = attempt("hardware", lambda: windows_system.hardware(self._answers(windows_queries.HARDWARE)))
        return found or Hardware()

    def devices(self) -> Devices:
        attempt = Attempts()
        said = attempt("powershell", lambda: self._answers(windows_queries.DEVICES)) or {}
        wlan = said.get("wlan")  # fails where there is no Wi-Fi adapter: nothing is amiss
        return Devices(
            peripherals=attempt("peripherals", lambda: windows_devices.peripherals(said["pnp"])),
            displays=attempt(
                "displays", lambda: windows_system.displays(said["monitors"], said.get("outputs", []))
            ),
            interfaces=attempt("interfaces", lambda: windows_system.interfaces(said["adapters"])),
            default_route=attempt("routes", lambda: bool(said["routes"])),
            room_app=attempt("room app", lambda: windows_room_app.room_app(said["room_app"], at=self.now()))
            if "room_app" in said
            else None,
            wifi_strength_pct=attempt("wifi", lambda: windows_system.wifi_strength_pct("".join(wlan or []))),
            failed=attempt.failed,
        )

    def system(self) -> System:
        attempt = Attempts()
        said = attempt("powershell", lambda: self._answers(windows_queries.SYSTEM)) or {}
        name, version = attempt("os", lambda: (said["os"][0]["Caption"], said["os"][0]["Version"])) or (
            "Windows",
            "",
        )
        app = said.get("app") or [{}]  # not a room system's Windows: no such package
        return System(
            os_name=name,
            os_version=version,
            kernel=version,
            app_version=attempt("app", lambda: str(app[0].get("Version") or "")) or "",
            disks=attempt("disks", lambda: windows_system.disks(said["disks"])),
            clock_synchronized=attempt(
                "clock", lambda: windows_system.clock_synchronized("".join(said["time"]))
            ),
            failed=attempt.failed,
        )

    def _answers(self, questions: str) -> dict[str, list[Any]]:
        return windows_queries.answers(self.ask(questions))
