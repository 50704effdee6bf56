from __future__ import annotations

import pytest

from enrollment.hardware import Match, compare, described

UUID_A = "4c4c4544-0042-3510-8052-b7c04f4d3932"
UUID_B = "4c4c4544-0042-3510-8052-b7c04f4d3933"
MAC_A, MAC_B = "54:bf:64:01:02:03", "54:bf:64:0a:0b:0c"


def facts(serial="", firmware_uuid="", *macs):
    return described("Dell", "OptiPlex", serial, firmware_uuid, macs).facts


@pytest.mark.parametrize(
    "serial",
    [
        "", "   ", "To be filled by O.E.M.", "Default string", "System Serial Number", "None", "N/A", "0", "00000000",
        "000-000-000", "123456789", "0123456789", "xxxxxxxx", "........", "Not Specified", "OEM", "unknown", "-",
        "FFFFFFFF", "INVALID", "\x00\x00", "Chassis Serial Number", "null",
    ],
)  # fmt: skip
def test_makers_placeholders_are_no_serial(serial):
    assert described("Dell", "OptiPlex", serial).serial == ""


@pytest.mark.parametrize(
    "serial", ["JX2K8Y2", "5CG1234ABC", "0042", "S/N 77", "test-77", "PF-1A2B3C", "1234567A"]
)
def test_serials_stay(serial):
    assert described("Dell", "OptiPlex", serial).serial == serial


@pytest.mark.parametrize(
    "value",
    [
        "", "x", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "03000200-0400-0500-0006-000700080009", "not a uuid",
    ],
)  # fmt: skip
def test_shared_firmware_ids_are_dropped(value):
    assert described("Dell", "OptiPlex", firmware_uuid=value).firmware_uuid == ""


def test_addresses_are_written_alike_and_made_up_ones_tell_nothing():
    docker, group = "02:42:ac:11:00:02", "01:00:5e:00:00:fb"
    hardware = described(
        "Dell", "x", macs=["54-BF-64-01-02-03", MAC_A, "54bf.640a.0b0c", "", "zz", "0" * 12, docker, group]
    )
    assert hardware.macs == (MAC_A, MAC_B, docker, group)
    assert hardware.facts == {f"mac:{MAC_A}", f"mac:{MAC_B}"}


def test_long_and_odd_texts_are_cut_and_put_in_one_line():
    hardware = described("D\x07e\nll " * 40, "M" * 300, "S" * 30 + "1" * 60)
    assert hardware.make.startswith("D e ll D e ll") and len(hardware.make) <= 80
    assert (len(hardware.model), len(hardware.serial)) == (120, 64)


@pytest.mark.parametrize(
    ("known", "shown", "match"),
    [
        (facts("A1", UUID_A, MAC_A), facts("A1", UUID_A, MAC_A), Match.SAME),
        (facts("A1", UUID_A, MAC_A), facts("a1", UUID_A.upper(), MAC_B), Match.SAME),  # a new network card
        (facts("A1", "", MAC_A, MAC_B), facts("A1", "", MAC_B), Match.SAME),
        (facts("A1", UUID_A, MAC_A), facts("A1", UUID_B, MAC_B), Match.OTHER),
        (facts("A1", UUID_A, MAC_A), facts("B2", UUID_B, MAC_A), Match.OTHER),  # a dock that wandered
        (facts("A1"), facts("A1"), Match.UNKNOWN),
        (facts("A1"), facts("", UUID_A), Match.UNKNOWN),
        (facts("A1"), facts("B2"), Match.OTHER),
        (facts(), facts("A1", UUID_A), Match.UNKNOWN),
        (facts("A1", UUID_A), facts("A1", UUID_B), Match.OTHER),
    ],
)
def test_two_facts_that_agree_are_one_machine(known, shown, match):
    assert compare(known, shown) is match
    assert compare(shown, known) is match
