"""Readers of the machine's real state: one module per platform and source."""

import sys
from typing import Protocol

from agent.readers.facts import Devices, Hardware, System


class Reader(Protocol):
    """What a platform can tell. A part that cannot be read is None and named in `failed`; nothing raises."""

    @property
    def platform(self) -> str: ...

    @property
    def devices_every_s(self) -> float:
        """How often `devices` is worth its cost."""
        ...

    @property
    def system_every_s(self) -> float: ...

    def hardware(self) -> Hardware: ...

    def devices(self) -> Devices: ...

    def system(self) -> System: ...


def reader_for_this_machine() -> Reader:
    if sys.platform == "win32":
        from agent.readers.windows import WindowsReader

        return WindowsReader()
    from agent.readers.linux import LinuxReader

    return LinuxReader()
