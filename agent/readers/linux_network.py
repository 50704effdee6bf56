"""Network interfaces, default route and Wi-Fi strength from sysfs and procfs."""

from pathlib import Path

from agent.readers.facts import Interface
from agent.readers.linux_usb import text

_ETHERNET = "1"  # ARPHRD_ETHER; Wi-Fi says the same
_UP, _REJECT = 0x1, 0x200
_BEST_QUALITY = 70  # what mac80211 drivers count to in /proc/net/wireless
_OF_THE_MAKER = "0"  # addr_assign_type: neither random nor borrowed from another interface
_SET = "3"


def interfaces(sys: Path) -> list[Interface]:
    """Physical Ethernet and Wi-Fi interfaces, wired ones first."""
    found = []
    for entry in sorted((sys / "class/net").iterdir()):
        device = entry.resolve()
        if "/devices/virtual/" in str(device) or text(device / "type") != _ETHERNET:
            continue
        wireless = (device / "wireless").exists() or (device / "phy80211").exists()
        lasting = text(device / "addr_assign_type") in (_OF_THE_MAKER, _SET, "")
        up = text(device / "operstate") == "up" or (not wireless and text(device / "carrier") == "1")
        found.append(Interface(entry.name, wireless, up, text(device / "address") if lasting else ""))
    return sorted(found, key=lambda each: (each.wireless, each.name))


def default_route(proc: Path) -> bool | None:
    """Is there a way out of the local network, over IPv4 or IPv6? None where the kernel keeps no table."""
    if not (proc / "net/route").exists():
        return None
    for line in _lines(proc / "net/route")[1:]:
        parts = line.split()
        if parts[1] == "00000000" and parts[7] == "00000000" and _usable(parts[3]):
            return True
    for line in _lines(proc / "net/ipv6_route"):
        parts = line.split()
        if parts[0] == "0" * 32 and parts[1] == "00" and parts[9] != "lo" and _usable(parts[8]):
            return True
    return False


def wifi_strength_pct(proc: Path) -> float | None:
    """The best Wi-Fi link's quality in per cent; None where the kernel does not say."""
    qualities = []
    for line in _lines(proc / "net/wireless")[2:]:
        parts = line.split()
        qualities.append(float(parts[2].rstrip(".")))
    return round(min(100.0, max(qualities) / _BEST_QUALITY * 100), 1) if qualities else None


def _usable(flags: str) -> bool:
    return bool(int(flags, 16) & _UP) and not int(flags, 16) & _REJECT


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
