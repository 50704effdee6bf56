"""USB devices, cameras and sound from sysfs (kernel: Documentation/ABI/testing/sysfs-bus-usb)."""

from dataclasses import replace
from pathlib import Path

from agent.readers.facts import Peripheral, clean, identifier

_LINUX_ROOT_HUB = "1d6b"
# https://www.usb.org/defined-class-codes; the first that a device has names its kind
KIND_BY_CLASS = {
    "0e": "camera",
    "01": "audio",
    "02": "network",
    "08": "storage",
    "e0": "bluetooth",
    "03": "input",
    "09": "hub",
}


def peripherals(sys: Path) -> list[Peripheral] | None:
    """USB devices, and cameras on other buses, sorted; None where there is no sysfs to tell."""
    if not (sys / "class").is_dir():
        return None
    microphones, speakers = _sound_owners(sys, "c"), _sound_owners(sys, "p")
    cameras = _owners(sys, "video4linux", "video*")
    found = []
    usb = sys / "bus/usb/devices"
    for entry in sorted(usb.iterdir()) if usb.is_dir() else []:
        device = entry.resolve()
        if not (device / "idVendor").exists() or text(device / "idVendor") == _LINUX_ROOT_HUB:
            continue
        found.append(_usb_device(device, records=device in microphones, plays=device in speakers))
    for device in sorted(cameras):
        if not (device / "idVendor").exists():
            found.append(Peripheral("camera", model=clean(_camera_name(device)) or "built-in camera"))
    return sorted(found)


def _usb_device(device: Path, *, records: bool, plays: bool) -> Peripheral:
    classes = [text(interface) for interface in sorted(device.glob("*:*/bInterfaceClass"))]
    classes.append(text(device / "bDeviceClass"))
    kind = next((kind for number, kind in KIND_BY_CLASS.items() if number in classes), "other")
    found = Peripheral(
        kind=kind,
        make=identifier(text(device / "manufacturer")),
        model=identifier(text(device / "product")),
        vendor_id=text(device / "idVendor").lower(),
        product_id=text(device / "idProduct").lower(),
        serial=identifier(text(device / "serial")),
        firmware=release(text(device / "bcdDevice")),
        records=records,
        plays=plays,
    )
    return replace(found, kind=sound_kind(records, plays)) if kind == "audio" else found


def sound_kind(records: bool, plays: bool) -> str:
    """What a sound device is called by what it can do."""
    if records and plays:
        return "speakerphone"
    return "microphone" if records else "speaker" if plays else "other"


def release(bcd: str) -> str:
    """`0210` is 2.10 (USB 2.0, 9.6.1: binary coded)."""
    return f"{bcd[:2].lstrip('0') or '0'}.{bcd[2:]}" if len(bcd) == 4 else ""


def _sound_owners(sys: Path, direction: str) -> set[Path]:
    return _owners(sys, "sound", f"pcmC*D*{direction}")


def _owners(sys: Path, kind: str, pattern: str) -> set[Path]:
    """The devices behind the class entries: one camera has several entries, one for each stream."""
    folder = sys / "class" / kind
    found = (_owner(entry.resolve(), sys) for entry in (folder.glob(pattern) if folder.is_dir() else ()))
    return {device for device in found if device is not None}


def _owner(entry: Path, sys: Path) -> Path | None:
    """The USB device an entry belongs to, else its PCI function; None for loopbacks and codecs of the board."""
    top = sys.resolve()
    above = [parent for parent in entry.parents if parent.is_relative_to(top) and parent != top]
    if usb := next((parent for parent in above if (parent / "idVendor").exists()), None):
        return usb
    return next(
        (parent for parent in above if (parent / "class").is_file() and (parent / "vendor").is_file()), None
    )


def _camera_name(device: Path) -> str:
    return next((text(name) for name in sorted(device.glob("video4linux/video*/name"))), "")


def text(path: Path) -> str:
    """A sysfs attribute without its line end, empty where it is missing or refuses to be read."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""
