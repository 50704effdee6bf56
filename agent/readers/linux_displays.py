"""Connected displays from the kernel's display connectors."""

from pathlib import Path

from agent.readers.edid import identity
from agent.readers.facts import Display
from agent.readers.linux_usb import text

_BUILT_IN = ("eDP", "LVDS", "DSI", "DPI")


def displays(sys: Path) -> list[Display] | None:
    """Connected displays, sorted; None without a graphics driver that knows its connectors."""
    folder = sys / "class/drm"
    connectors = sorted(folder.glob("card*-*/status")) if folder.is_dir() else []
    known = [each for each in connectors if "Virtual" not in each.parent.name]
    if not known:
        return None
    return [_display(each.parent) for each in known if text(each) == "connected"]


def _display(connector: Path) -> Display:
    name = connector.name.partition("-")[2]  # card0-HDMI-A-1
    try:
        edid = (connector / "edid").read_bytes()
    except OSError:
        edid = b""
    make, model, serial = identity(edid)
    return Display(name, make, model, serial, built_in=name.startswith(_BUILT_IN))
