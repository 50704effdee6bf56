"""Who made a display, from its EDID (VESA Enhanced EDID standard, release A, section 3)."""

from agent.readers.facts import clean, identifier

_DESCRIPTORS = (54, 72, 90, 108)
_SERIAL, _NAME = 0xFF, 0xFC


def identity(edid: bytes) -> tuple[str, str, str]:
    """(make, model, serial); empty texts where the block is missing or damaged.

    The make is the three-letter PNP id; without a name the model is the product code.
    """
    if len(edid) < 128 or edid[:8] != b"\x00\xff\xff\xff\xff\xff\xff\x00" or sum(edid[:128]) % 256:
        return "", "", ""
    letters = int.from_bytes(edid[8:10], "big")
    make = "".join(chr(64 + (letters >> shift & 31)) for shift in (10, 5, 0))
    code = int.from_bytes(edid[10:12], "little")
    number = int.from_bytes(edid[12:16], "little")
    model = _described(edid, _NAME) or f"{code:04X}"
    serial = identifier(_described(edid, _SERIAL)) or identifier(str(number) if number else "")
    return clean(make), model, serial


def _described(edid: bytes, kind: int) -> str:
    for start in _DESCRIPTORS:
        if edid[start : start + 3] == b"\0\0\0" and edid[start + 3] == kind:
            return clean(edid[start + 5 : start + 18].split(b"\n")[0].decode("cp437"))
    return ""
