from dataclasses import replace

from agent.inventory import digest, inventory
from agent.readers.facts import Devices, Hardware, System
from agent.readers.linux import LinuxReader


def document(room, **changed):
    reader = LinuxReader(room / "sys", room / "proc", room / "etc", smart=lambda disk: None)
    devices = replace(reader.devices(), **changed)
    return inventory(
        reader.hardware(), devices, reader.system(), lambda name: ["10.0.0.5"] if name == "enp1s0" else []
    )


def test_it_lists_what_is_attached(room):
    found = document(room)
    assert found["peripherals"][0] == {
        "kind": "camera",
        "make": "",
        "model": "HD Pro Webcam C920",
        "vendor_id": "046d",
        "product_id": "082d",
        "serial": "5B4D7A1F",
        "firmware": "0.11",
        "connected": True,
    }
    assert [each["model"] for each in found["displays"]] == ["7706", "QM55B", ""]
    assert found["network"][0] == {
        "name": "enp1s0",
        "kind": "wired",
        "mac": "9c:7b:ef:12:34:56",
        "connected": True,
        "addresses": ["10.0.0.5"],
    }
    assert found["hardware"]["serial"] == "8CC2340ABC"


def test_its_digest_changes_with_the_machine_and_not_by_itself(room):
    first = digest(document(room))
    assert first.startswith("sha256:")
    assert len(first) == 7 + 64
    (room / "proc/net/wireless").write_text("a\nb\nwlp2s0: 0000 60. -50. -256\n")
    assert digest(document(room)) == first
    assert digest(document(room, peripherals=[])) != first


def test_what_cannot_be_read_is_left_out():
    found = inventory(Hardware(), Devices(peripherals=[]), System(), lambda name: [])
    assert found["peripherals"] == []
    assert not {"displays", "network", "disks"} & set(found)
