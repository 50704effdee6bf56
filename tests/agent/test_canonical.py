import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.canonical import canonical_json

# RFC 8785, appendix B: IEEE 754 bits and their one form.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}

exact = st.integers(-(2**53), 2**53)
scalars = st.none() | st.booleans() | exact | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@pytest.mark.parametrize(("bits", "form"), NUMBERS.items())
def test_numbers_have_the_form_of_the_standard(bits, form):
    [value] = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(value).decode() == form


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 2**53 + 1, "\ud800", {"a": ["\udfff"]}]
)
def test_what_json_cannot_carry_exactly_is_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1: 2}, {None: 1}, b"bytes", {1, 2}, object()])
def test_other_types_are_refused(value):
    with pytest.raises(TypeError):
        canonical_json(value)


def test_keys_are_sorted_by_utf_16_code_units():
    # RFC 8785, section 3.2.3: the emoji's surrogates sort before U+FB33 although its code point is higher
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys, 0)))) == expected


def test_strings_are_escaped_no_more_than_needed():
    text = "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/\b\t\f\r\u007f\u2028"
    expected = '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\\b\\t\\f\\r\u007f\u2028"'
    assert canonical_json(text).decode() == expected


@given(documents)
def test_it_means_the_same_document_and_is_the_same_again(document):
    form = canonical_json(document)
    read = json.loads(form, parse_int=float)  # every number of the standard is an IEEE double
    assert read == document
    assert canonical_json(read) == form


@given(st.dictionaries(st.text(), scalars), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(document, random):
    items = list(document.items())
    random.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(document)


@given(st.recursive(exact | st.text() | st.booleans(), lambda inner: st.lists(inner), max_leaves=20))
def test_it_is_what_python_writes_compactly(document):
    plain = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    assert canonical_json(document).decode() == plain
