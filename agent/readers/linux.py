"""The Linux reader: sysfs, procfs, /etc, and smartctl where it is installed."""

from dataclasses import dataclass
from pathlib import Path

from agent.readers import linux_disks, linux_displays, linux_network, linux_system, linux_usb
from agent.readers.facts import Attempts, Devices, Hardware, System


@dataclass(frozen=True, slots=True)
class LinuxReader:
    """Roots are given to read a recorded tree instead of this machine."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    etc: Path = Path("/etc")
    smart: linux_disks.Smart = linux_disks.ask_smartctl
    platform: str = "linux"
    devices_every_s: float = 0.0  # a few files: at every look
    system_every_s: float = 600.0

    def hardware(self) -> Hardware:
        attempt = Attempts()
        interfaces = attempt("interfaces", lambda: linux_network.interfaces(self.sys))
        found = attempt("hardware", lambda: linux_system.hardware(self.sys, self.proc, interfaces))
        return found or Hardware()

    def devices(self) -> Devices:
        attempt = Attempts()
        return Devices(
            peripherals=attempt("peripherals", lambda: linux_usb.peripherals(self.sys)),
            displays=attempt("displays", lambda: linux_displays.displays(self.sys)),
            interfaces=attempt("interfaces", lambda: linux_network.interfaces(self.sys)),
            default_route=attempt("routes", lambda: linux_network.default_route(self.proc)),
            wifi_strength_pct=attempt("wifi", lambda: linux_network.wifi_strength_pct(self.proc)),
            failed=attempt.failed,
        )

    def system(self) -> System:
        attempt = Attempts()
        name, version = attempt("os", lambda: linux_system.operating_system(self.etc)) or ("Linux", "")
        return System(
            os_name=name,
            os_version=version,
            kernel=attempt("kernel", lambda: linux_system.kernel(self.proc)) or "",
            disks=attempt("disks", lambda: linux_disks.disks(self.sys, self.smart)),
            clock_synchronized=attempt("clock", linux_system.clock_synchronized),
            failed=attempt.failed,
        )
