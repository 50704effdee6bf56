"""What is accepted of a device's body and what is refused, against a slow reader that shares nothing with ours."""

from __future__ import annotations

import gzip
import json
import math
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import heartbeat_format, heartbeat_reading
from fleet.heartbeat_reading import BadBody, BodyTooLarge

ITEM = {
    "seq": 41,
    "t_wall": "2026-11-22T08:00:00Z",
    "t_mono": 8123.2,
    "signals": {
        "camera_room": {"state": "unhealthy", "instance": "1", "detail": "no video device"},
        "display_front": [{"state": "healthy", "instance": "1"}, {"state": "unhealthy", "instance": "2"}],
        "disk_space": "healthy",
    },
    "versions": {"app": "5.4.218.0", "os": "10.0.26100", "agent": "1.0.0"},
    "metrics": {"cpu_pct": 12.5, "mem_pct": 48, "temp_c": None},
    "usage": {"in_meeting": True, "people": 4},
    "inventory_digest": "sha256:" + "ab" * 32,
}
REQUEST = {"epoch": "b7c1…", "from": 39, "sent_mono": 8123.4, "items": [ITEM]}


def body(**changes: Any) -> bytes:
    return json.dumps(REQUEST | changes, ensure_ascii=False).encode()


def with_item(**changes: Any) -> bytes:
    return body(items=[ITEM | changes])


def refusal(raw: bytes) -> BadBody:
    with pytest.raises(BadBody) as caught:
        heartbeat_format.decode(raw)
    return caught.value


# What is taken -------------------------------------------------------------------------------------------------


def test_a_usual_request_is_taken_by_the_quick_reader_and_stored_as_it_came():
    assert heartbeat_format.usual(body()) is not None
    stored = heartbeat_format.stored(body())
    assert (stored.epoch, stored.from_seq, stored.sent_mono) == ("b7c1…", 39, 8123.4)
    assert json.loads(bytes(stored.items[0])) == ITEM


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(REQUEST).encode(),  # non-ASCII as escapes
        json.dumps(REQUEST, indent=2).encode(),
        json.dumps(REQUEST, separators=(" ,", " :")).encode(),
        with_item(signals={"os": {"state": "unknown", "detail": "C:\\Windows\\Temp"}}),
        body(items=[ITEM | {"seq": n} for n in range(1, heartbeat_format.MAX_ITEMS + 1)]),
        b'{"epoch":"1","items":[{"seq":9223372036854775807,"signals":{}}]}',
    ],
    ids=[
        "escapes",
        "indented",
        "odd spaces",
        "backslashes",
        "as many items as may be",
        "only what is required",
    ],
)
def test_the_quick_reader_takes_other_spellings_too(raw):
    assert heartbeat_format.usual(raw) is not None


@pytest.mark.parametrize(
    "raw",
    [
        body(vendor={"rack": [1, 2]}),
        with_item(vendor="x", usage={"call": {"id": "7", "kind": None}}),
        with_item(
            signals={"camera_room": {"state": "healthy", "since": "today"}, "vendor_signal": "healthy"}
        ),
        with_item(signals={"os": {"state": "unknown", "detail": 'a \\u0022quoted" word'}}),
        b'{"epoch":"\\u0022","items":[{"seq":1,"signals":{}}]}',
    ],
    ids=["in the request", "in an item", "in a signal", "quote", "quote as an escape"],
)
def test_members_we_do_not_know_are_kept(raw):
    heartbeat_format.decode(raw)
    stored = heartbeat_format.stored(raw)
    assert [json.loads(bytes(each)) for each in stored.items] == json.loads(raw)["items"]


def test_an_item_is_read_with_plain_defaults():
    item = heartbeat_format.item(b'{"seq":1,"signals":{"a":"healthy","b":{"state":"unknown"},"c":[]},"x":1}')
    assert (item.seq, item.t_wall, item.t_mono) == (1, None, None)
    assert (item.versions, item.metrics, item.usage, item.inventory_digest) == ({}, {}, {}, "")
    assert item.signals == {"a": "healthy", "b": heartbeat_format.Signal("unknown"), "c": []}


# What is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not JSON"),
        (b"null", "expected object"),
        (b"[]", "expected object, got array"),
        (b'"text"', "expected object, got str"),
        (body()[:-1], "not JSON"),
        (body() + b"x", "not JSON"),
        (body() + body(), "not JSON"),
        (b"\xef\xbb\xbf" + body(), "not JSON"),
        (json.dumps(REQUEST).encode("utf-16"), "NUL"),
        (body().replace(b"{", b"{'a': 1,", 1), "not JSON"),
        (body().replace(b"41", b"041"), "not JSON"),
        (body().replace("…".encode(), b"\xff"), "not UTF-8"),
        (body().replace("…".encode(), b"\xed\xa0\x80"), "not UTF-8"),
        (body().replace("…".encode(), b"\x00"), "NUL"),
        (body().replace("…".encode(), b"\\u0000"), "NUL"),
        (body().replace(b"no video", b"\\u0000"), "NUL"),
        (body(vendor={"deep\0": 1}), "NUL"),
        (body().replace("…".encode(), b"\\ud800"), "surrogate"),
        (body().replace(b"no video", b"\\udc00\\ud800"), "surrogate"),
        (body().replace(b"no video", b"a\nb"), "not JSON"),
        (body().replace(b"8123.4", b"NaN"), "NaN"),
        (body().replace(b"12.5", b"Infinity"), "Infinity"),
        (body().replace(b"12.5", b"-Infinity"), "-Infinity"),
        (body().replace(b"12.5", b"1e400"), "too large"),
        (body().replace(b"12.5", b"1" * 400), "too large"),
        (body().replace(b"41", b"9223372036854775808"), "too large"),
        (body().replace(b"41", b"1" * 5000), "too large"),
        (body(vendor=2**64), "too large"),
        (body(vendor=-(2**63) - 1), "too large"),
        (with_item(usage={"people": 2**63}), "too large"),
        (body(epoch=""), "epoch"),
        (body(epoch="e" * 65), "epoch"),
        (body(epoch=7), "epoch: expected str, got int"),
        (body(epoch=None), "epoch"),
        (b'{"items":[{"seq":1,"signals":{}}]}', "epoch"),
        (b'{"epoch":"e"}', "items"),
        (body(items=[]), "items: expected array of length >= 1"),
        (body(items={}), "items: expected array"),
        (body(items=[ITEM] * (heartbeat_format.MAX_ITEMS + 1)), "items: expected array of length <="),
        (body(items=[ITEM, 7]), "items[1]: expected object"),
        (body(**{"from": 0}), "from: expected int >= 1"),
        (body(**{"from": 1.5}), "from: expected int"),
        (body(sent_mono="8123.4"), "sent_mono: expected float"),
        (body(sent_mono=1e16), "sent_mono"),
        (with_item(seq=0), "items[0].seq: expected int >= 1"),
        (with_item(seq=-1), "items[0].seq"),
        (with_item(seq="41"), "items[0].seq: expected int, got str"),
        (with_item(seq=41.0), "items[0].seq: expected int, got float"),
        (with_item(seq=True), "items[0].seq: expected int, got bool"),
        (with_item(seq=None), "items[0].seq"),
        (body(items=[{"seq": 1}]), "items[0]: object missing required field signals"),
        (with_item(signals=[]), "items[0].signals: expected object"),
        (with_item(signals={"disk_space": "broken"}), "items[0].signals.disk_space"),
        (with_item(signals={"a": "healthy", "disk_space": 1}), "items[0].signals.disk_space: expected str"),
        (with_item(signals={"disk_space": None}), "items[0].signals.disk_space"),
        (with_item(signals={"disk_space": {}}), "items[0].signals.disk_space: object missing"),
        (with_item(signals={"b": {"state": "ok"}}), "items[0].signals.b.state"),
        (with_item(signals={"b": [{"state": "healthy"}, "healthy"]}), "items[0].signals.b[1]"),
        (with_item(signals={"b": {"state": "healthy", "instance": 1}}), "items[0].signals.b.instance"),
        (with_item(signals={"b": {"state": "healthy", "instance": "i" * 65}}), "items[0].signals.b.instance"),
        (with_item(signals={"b": {"state": "healthy", "detail": "d" * 301}}), "items[0].signals.b.detail"),
        (with_item(signals={"": "healthy"}), "items[0].signals: expected str of length >= 1"),
        (with_item(signals={"s" * 41: "healthy"}), "items[0].signals: expected str of length <= 40"),
        (with_item(signals={f"s{n}": "healthy" for n in range(201)}), "items[0].signals"),
        (with_item(signals={"b": [{"state": "healthy"}] * 65}), "items[0].signals.b"),
        (with_item(t_wall="yesterday"), "items[0].t_wall"),
        (with_item(t_wall="2026-11-22T08:00:00"), "items[0].t_wall"),
        (with_item(t_wall=1795338000), "items[0].t_wall"),
        (with_item(t_mono="1"), "items[0].t_mono"),
        (with_item(versions={"app": 5}), "items[0].versions.app"),
        (with_item(versions={"app": "5" * 81}), "items[0].versions.app"),
        (with_item(metrics={"cpu_pct": "12"}), "items[0].metrics.cpu_pct"),
        (with_item(metrics={"cpu_pct": 1e300}), "items[0].metrics.cpu_pct"),
        (with_item(metrics=None), "items[0].metrics"),
        (with_item(usage=[]), "items[0].usage"),
        (with_item(inventory_digest="d" * 81), "items[0].inventory_digest"),
    ],
)
def test_a_refusal_names_the_part_at_fault(raw, said):
    assert said.lower() in refusal(raw).message.lower()
    assert len(refusal(raw).message) < 400


@pytest.mark.parametrize(
    "raw",
    [
        body().replace(b'"epoch"', b'"epoch": "first", "epoch"'),
        body().replace(b'"epoch"', b'"epoch": "b7c1", "epo\\u0063h"'),
        body().replace(b'"from"', b'"from": 39, "from"'),
        body().replace(b'"seq"', b'"seq": 40, "seq"'),
        body().replace(b'"seq"', b'"vendor": 1, "vendor": 1, "seq"'),
        body().replace(b'"seq"', b'"vendor" : 1, "vendor" : 1, "seq"'),
        body().replace(b'"disk_space"', b'"disk_space": "unhealthy", "disk_space"'),
        body().replace(b'"instance"', b'"instance": "0", "instance"', 1),
        body().replace(b'"agent"', b'"app": "6", "agent"'),
        body().replace(b'"agent"', b'"app": "\\u0022", "agent"'),
        body().replace(b'"items"', b'"items": [], "items"'),
    ],
)
def test_a_name_that_stands_twice_is_refused(raw):
    assert "stands twice" in refusal(raw).message


def nested(levels: int, opening: str = "[", closing: str = "]") -> bytes:
    return body(vendor=0).replace(b'"vendor": 0', f'"vendor": {opening * levels}0{closing * levels}'.encode())


def test_sixteen_levels_are_the_most():
    heartbeat_format.decode(nested(15))
    assert "16 levels" in refusal(nested(16)).message
    assert "16 levels" in refusal(nested(16, '{"a":', "}")).message
    assert "16 levels" in refusal(b"[" * 400_000).message
    assert "16 levels" in refusal(b'{"a":' * 80_000 + b"1" + b"}" * 80_000).message


@pytest.mark.parametrize(
    "raw",
    [
        nested(3) + b"]" * 100_000,
        b"]" * 100_000 + b"[" * 5,
        body(vendor="[{" * 1000),
        body(vendor='"[[\\' * 99),
    ],
)
def test_brackets_in_texts_and_brackets_that_do_not_match_are_no_levels(raw):
    assert not heartbeat_reading.is_too_deep(raw)


# gzip ----------------------------------------------------------------------------------------------------------


def test_gzip_is_unpacked():
    assert heartbeat_format.unpack(gzip.compress(body(), mtime=0)) == body()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (body(), "not gzip"),
        (b"", "cut off"),
        (gzip.compress(body(), mtime=0)[:-1], "cut off"),
        (gzip.compress(body(), mtime=0)[:9], "cut off"),
        (gzip.compress(body(), mtime=0) + b"x", "follows"),
        (gzip.compress(body(), mtime=0) * 2, "follows"),
        (gzip.compress(body(), mtime=0)[:-8] + bytes(8), "not gzip"),
    ],
)
def test_damaged_gzip_is_refused(raw, said):
    with pytest.raises(BadBody, match=said):
        heartbeat_format.unpack(raw)


@pytest.mark.parametrize(
    "raw",
    [
        gzip.compress(b" " * 50_000_000, mtime=0),
        gzip.compress(b" " * (heartbeat_format.MAX_BYTES + 1), mtime=0),
        bytes(64_001),
    ],
)
def test_what_is_too_large_packed_or_unpacked_is_refused(raw):
    with pytest.raises(BodyTooLarge):
        heartbeat_format.unpack(raw)


# Against a slow reader -----------------------------------------------------------------------------------------

STATES = ("healthy", "unhealthy", "unknown")


class NotSound(Exception):
    pass


def need(holds: bool) -> None:
    if not holds:
        raise NotSound


def slow_reader(raw: bytes) -> Any:
    """The contract, written down once more in the plainest way. Raises NotSound."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len({name for name, _ in found}) == len(found))
        return dict(found)

    def integer(digits: str) -> int:
        need(len(digits) < 25)
        return int(digits)

    def never(_: str) -> None:
        raise NotSound

    try:
        value = json.loads(raw.decode(), object_pairs_hook=pairs, parse_int=integer, parse_constant=never)
    except (ValueError, RecursionError):
        raise NotSound from None
    sound(value, level=0)
    request(value)
    return value


def sound(value: Any, *, level: int) -> None:
    if isinstance(value, str):
        need("\0" not in value and not any(0xD800 <= ord(char) <= 0xDFFF for char in value))
    elif isinstance(value, int) and not isinstance(value, bool):
        need(-(2**63) <= value < 2**63)
    elif isinstance(value, float):
        need(math.isfinite(value))
    elif isinstance(value, dict | list):
        need(level < 16)
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            sound(each, level=level + 1)


def text(value: Any, most: int, least: int = 0) -> None:
    need(isinstance(value, str) and least <= len(value) <= most)


def number(value: Any) -> None:
    need(type(value) in (int, float) and abs(value) <= 1e15)


def sequence(value: Any) -> None:
    need(type(value) is int and value >= 1)


def named(value: Any, most: int) -> None:
    need(isinstance(value, dict) and len(value) <= most)
    for name in value:
        text(name, 40, 1)


def request(value: Any) -> None:
    need(isinstance(value, dict) and "epoch" in value and isinstance(value.get("items"), list))
    text(value["epoch"], 64, 1)
    if value.get("from") is not None:
        sequence(value["from"])
    if value.get("sent_mono") is not None:
        number(value["sent_mono"])
    need(1 <= len(value["items"]) <= 500)
    for each in value["items"]:
        item(each)


def item(value: Any) -> None:
    need(isinstance(value, dict) and "seq" in value and "signals" in value)
    sequence(value["seq"])
    named(value["signals"], 200)
    for each in value["signals"].values():
        if isinstance(each, list):
            need(len(each) <= 64)
            for instance in each:
                signal(instance)
        elif isinstance(each, str):
            need(each in STATES)
        else:
            signal(each)
    if value.get("t_wall") is not None:
        text(value["t_wall"], 10_000)
        try:
            need(datetime.fromisoformat(value["t_wall"]).tzinfo is not None)
        except ValueError:
            raise NotSound from None
    if value.get("t_mono") is not None:
        number(value["t_mono"])
    named(value.get("versions", {}), 50)
    for each in value.get("versions", {}).values():
        if each is not None:
            text(each, 80)
    named(value.get("metrics", {}), 100)
    for each in value.get("metrics", {}).values():
        if each is not None:
            number(each)
    named(value.get("usage", {}), 50)
    text(value.get("inventory_digest", ""), 80)


def signal(value: Any) -> None:
    need(isinstance(value, dict) and isinstance(value.get("state"), str) and value["state"] in STATES)
    text(value.get("instance", ""), 64)
    text(value.get("detail", ""), 300)


NASTY = st.sampled_from(
    ["", "\0", '"', "\\", '":', "a\\u0000", "\\u0022", "é", "😀", "{", "[[", "seq", "x" * 41, "x" * 65]
)
TEXTS = st.one_of(st.text(max_size=12), NASTY)
NUMBERS = st.one_of(
    st.integers(-2, 50),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(
        [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**15, 10**15 + 1, 10**400, 0, 1, -0.0, 1e308]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def mostly(usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any] = ANYTHING) -> st.SearchStrategy[Any]:
    return st.integers(0, 19).flatmap(lambda draw: other if draw == 0 else usual)


NAMES = mostly(st.sampled_from(["camera_room", "disk_space", "app", "os", "cpu_pct", "people"]), TEXTS)
SIGNALS = st.fixed_dictionaries(
    {"state": mostly(st.sampled_from(STATES))},
    optional={"instance": mostly(TEXTS), "detail": mostly(TEXTS), "x": ANYTHING},
)
ITEMS = st.fixed_dictionaries(
    {
        "seq": mostly(st.integers(1, 2**63 - 1)),
        "signals": mostly(
            st.dictionaries(
                NAMES, mostly(st.sampled_from(STATES) | SIGNALS | st.lists(SIGNALS, max_size=3)), max_size=4
            )
        ),
    },
    optional={
        "t_wall": mostly(st.sampled_from(["2026-11-22T08:00:00Z", "2026-11-22T08:00:00.5+02:00", None])),
        "t_mono": mostly(NUMBERS),
        "versions": mostly(st.dictionaries(NAMES, mostly(TEXTS), max_size=3)),
        "metrics": mostly(st.dictionaries(NAMES, mostly(NUMBERS), max_size=3)),
        "usage": mostly(st.dictionaries(NAMES, mostly(SCALARS), max_size=3)),
        "inventory_digest": mostly(TEXTS),
        "x": ANYTHING,
    },
)
REQUESTS = st.fixed_dictionaries(
    {
        "epoch": mostly(st.text(min_size=1, max_size=5)),
        "items": mostly(st.lists(ITEMS, min_size=1, max_size=3)),
    },
    optional={"from": mostly(st.integers(1, 50)), "sent_mono": mostly(NUMBERS), "x": ANYTHING},
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Requests, mostly sound; some with names twice, bytes changed or escapes where none were."""
    value = draw(mostly(REQUESTS))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :\n")]))
    written = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators)
    raw = written.encode(errors="surrogatepass")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(raw)))
        change = draw(st.sampled_from(["twice", "cut", "byte", "escape"]))
        if change == "twice":
            start = raw.find(b'"', place)
            end = raw.find(b",", start)
            raw = raw[:end] + b"," + raw[start:end] + raw[end:] if 0 <= start < end else raw
        elif change == "cut":
            raw = raw[:place] + raw[place + draw(st.integers(1, 4)) :]
        elif change == "byte":
            raw = (
                raw[:place]
                + draw(st.sampled_from([b'"', b"\\", b"{", b"]", b",", b"\0", b"\xff", b"1", b"9" * 30]))
                + raw[place:]
            )
        else:
            letter = raw[place : place + 1]
            raw = raw[:place] + b"\\u%04x" % letter[0] + raw[place + 1 :] if letter.isalpha() else raw
    return raw


@settings(max_examples=600, deadline=None, derandomize=True)
@given(bodies())
def test_both_readers_and_a_slow_one_agree(raw):
    try:
        expected = slow_reader(raw)
    except NotSound:
        assert heartbeat_format.usual(raw) is None
        refusal(raw)
        return
    heartbeat_format.careful(raw)
    heartbeat_format.decode(raw)
    stored = heartbeat_format.stored(raw)
    assert stored.epoch == expected["epoch"]
    assert [msgspec.json.decode(each) for each in stored.items] == expected["items"]
    assert [heartbeat_format.item(each).seq for each in stored.items] == [
        each["seq"] for each in expected["items"]
    ]


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.text('[]{}"\\a', max_size=60).map(str.encode), st.integers(0, 20))
def test_levels_are_counted_as_a_plain_scanner_counts_them(noise, levels):
    raw = b"[" * levels + noise + b"]" * levels
    level = deepest = 0
    inside = escaped = False
    for char in raw.decode():
        if escaped:
            escaped = False
        elif inside:
            escaped, inside = char == "\\", char != '"'
        elif char == '"':
            inside = True
        elif char in "[{":
            level += 1
            deepest = max(deepest, level)
        elif char in "]}":
            level -= 1
    if "\\" not in raw.decode():  # outside texts a backslash is no JSON, whatever follows
        assert heartbeat_reading.is_too_deep(raw) == (deepest > 16)
