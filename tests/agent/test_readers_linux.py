import json
import shutil
from pathlib import Path

import pytest

from agent.readers.edid import identity
from agent.readers.facts import Disk, Display, Hardware, Interface, Peripheral
from agent.readers.linux import LinuxReader
from tests.agent.recorded import plant

HEALTHY, FAILING = (
    json.dumps({"smart_status": {"passed": True}}),
    json.dumps({"smart_status": {"passed": False}}),
)


def reader(machine: Path, smart: str | None = None) -> LinuxReader:
    return LinuxReader(machine / "sys", machine / "proc", machine / "etc", smart=lambda disk: smart)


@pytest.fixture
def board(tmp_path):
    return plant("linux_board", tmp_path / "board")


def test_a_room_pc_knows_itself(room):
    assert reader(room).hardware() == Hardware(
        make="HP",
        model="HP Elite Mini 800 G9 Desktop PC",
        serial="8CC2340ABC",
        firmware_uuid="5c2f1a7e-90d1-4b7b-8b1e-2f9d6a3c4e5f",
        macs=["9c:7b:ef:12:34:56", "9c:7b:ef:12:34:57"],
    )


def test_its_peripherals_have_ids_serials_and_one_row_each(room):
    devices = reader(room).devices()
    assert devices.failed == ()
    assert devices.peripherals == [
        Peripheral("camera", "", "HD Pro Webcam C920", "046d", "082d", "5B4D7A1F", "0.11", records=True),
        Peripheral("hub", "", "USB2.0 Hub", "05e3", "0608", "", "85.37"),
        Peripheral("input", "Logitech", "USB Keyboard", "046d", "c31c", "", "64.00"),
        Peripheral(
            "speakerphone",
            "",
            "Jabra SPEAK 510 USB",
            "0b0e",
            "0420",
            "501AA5D0B1C2x010900",
            "2.09",
            records=True,
            plays=True,
        ),
    ]


def test_its_displays_are_named_by_their_edid(room):
    assert reader(room).devices().displays == [
        Display("DP-1", "GSM", "7706", "16843009"),
        Display("HDMI-A-1", "SAM", "QM55B", "H4ZR500123"),
        Display("eDP-1", built_in=True),
    ]


def test_its_network_is_what_has_a_plug_or_an_antenna(room):
    devices = reader(room).devices()
    assert devices.interfaces == [
        Interface("enp1s0", wireless=False, up=True, mac="9c:7b:ef:12:34:56"),
        Interface("enx00", wireless=False, up=False),
        Interface("wlp2s0", wireless=True, up=True, mac="9c:7b:ef:12:34:57"),
    ]
    assert devices.default_route is True
    assert devices.wifi_strength_pct == 37.1


def test_a_default_route_may_be_an_ipv6_one(board):
    assert reader(board).devices().default_route is True
    (board / "proc/net/ipv6_route").write_text("")
    assert reader(board).devices().default_route is False


@pytest.mark.parametrize(
    ("smart", "healthy"), [(HEALTHY, True), (FAILING, False), (None, None), ("{}", None), ("?", None)]
)
def test_its_disks_speak_for_themselves(room, smart, healthy):
    detail = "SMART says it is failing" if healthy is False else ""
    assert reader(room, smart).system().disks == [
        Disk("mmcblk0", "DA4064", "0x1c9a2b3d", True, ""),
        Disk("nvme0n1", "SAMSUNG MZVL2256HCHQ-00B07", "S63CNX0T123456", healthy, detail),
    ]


def test_its_system_is_named(room):
    system = reader(room).system()
    assert (system.os_name, system.os_version, system.kernel) == (
        "Ubuntu 24.04.1 LTS",
        "ubuntu 24.04",
        "6.8.0-49-generic",
    )
    assert "clock" not in system.failed


def test_a_board_without_dmi_is_named_by_its_device_tree(board):
    found = reader(board).hardware()
    assert (found.make, found.model) == ("raspberrypi", "Raspberry Pi 4 Model B Rev 1.4")
    assert (found.serial, found.macs) == ("10000000abcdef01", ["dc:a6:32:01:02:03"])


def test_a_board_s_codecs_are_no_cameras(board):
    assert reader(board).devices().peripherals == [Peripheral("camera", "", "", "046d", "0825", "", "0.12")]


def test_a_worn_out_emmc_says_so(board):
    assert reader(board).system().disks == [Disk("mmcblk0", "BJTD4R", "", False, "past its estimated life")]
    (board / "sys/block/mmcblk0/device/pre_eol_info").write_text("0x03\n")
    assert reader(board).system().disks[0].detail == "nearly all spare blocks are used up"


def test_a_camera_that_is_pulled_is_gone(room):
    camera = room / "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1"
    for link in [*(room / "sys/class/video4linux").iterdir(), *(room / "sys/bus/usb/devices").glob("1-1*")]:
        link.unlink()
    (room / "sys/class/sound/pcmC1D0c").unlink()
    shutil.rmtree(camera)
    assert [each.kind for each in reader(room).devices().peripherals] == ["hub", "input", "speakerphone"]


def test_a_machine_without_sysfs_cannot_tell(tmp_path):
    devices = reader(tmp_path).devices()
    assert (devices.peripherals, devices.displays, devices.interfaces, devices.default_route) == (None,) * 4
    assert reader(tmp_path).system().disks is None
    assert reader(tmp_path).hardware() == Hardware()


def test_a_broken_source_is_named_and_leaves_the_others_readable(room):
    (room / "proc/net/route").write_text("Iface\ngarbage\n")
    (room / "proc/net/wireless").write_text("a\nb\nwlan0: 0000\n")
    devices = reader(room).devices()
    assert devices.failed == ("routes", "wifi")
    assert (devices.default_route, devices.wifi_strength_pct) == (None, None)
    assert len(devices.peripherals) == 4


def test_names_that_makers_forgot_are_dropped(room):
    dmi = room / "sys/class/dmi/id"
    for name, value in {
        "sys_vendor": "To Be Filled By O.E.M.",
        "board_vendor": "Default string",
        "product_name": "System Product Name",
        "board_name": "X570 Board",
        "product_serial": "0123456789",
        "product_uuid": "03000200-0400-0500-0006-000700080009",
    }.items():
        (dmi / name).write_text(value + "\n")
    found = reader(room).hardware()
    assert (found.make, found.model, found.serial, found.firmware_uuid) == ("unknown", "X570 Board", "", "")


def test_signs_a_service_would_refuse_never_leave_the_machine(room):
    camera = room / "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1"
    (camera / "product").write_bytes(b"Cam\x00era\xff \x1b[31m\n2" + b"x" * 300)
    [camera, *_] = reader(room).devices().peripherals
    assert camera.model.startswith("Cam era� [31m 2xxx")
    assert len(camera.model) == 120


@pytest.mark.parametrize("edid", [b"", b"\0" * 128, b"\x00\xff\xff\xff\xff\xff\xff\x00" + b"\x01" * 120])
def test_a_damaged_edid_names_nothing(edid):
    assert identity(edid) == ("", "", "")
