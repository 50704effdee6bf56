from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updates.versions import LONGEST, NotAVersion, Scheme, compare, is_version

IN_ORDER = {
    Scheme.DOTTED: ["0", "1.9", "1.9.0.1", "1.10", "2", "5.4.218.0", "10.0.26100"],
    # The order of semver.org, section 11.
    Scheme.SEMANTIC: [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1-rc.1",
        "1.10.0",
    ],
    Scheme.NATURAL: ["A9", "a10", "A10.1", "N3XET45W (1.19)", "N3XET45W (1.20)", "N3XET46W (1.0)"],
}


@pytest.mark.parametrize("scheme", Scheme)
def test_versions_are_ordered_as_their_maker_orders_them(scheme):
    for older, newer in pairwise(IN_ORDER[scheme]):
        assert compare(scheme, older, newer) == -1, (older, newer)
        assert compare(scheme, newer, older) == 1


def test_what_does_not_count_makes_no_difference():
    assert compare(Scheme.DOTTED, "1.2", "1.2.0.0") == 0
    assert compare(Scheme.SEMANTIC, "1.2.3+build.7", "1.2.3+build.9") == 0
    assert compare(Scheme.NATURAL, "V1.2-b", "v01 2 B") == 0


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        (Scheme.DOTTED, "1.2a"),
        (Scheme.DOTTED, "1..2"),
        (Scheme.DOTTED, "٣"),
        (Scheme.SEMANTIC, "1.2"),
        (Scheme.SEMANTIC, "01.2.3"),
        (Scheme.SEMANTIC, "1.2.3-01"),
        (Scheme.NATURAL, "()"),
        *((scheme, text) for scheme in Scheme for text in ("", " ", "1" * (LONGEST + 1))),
    ],
)
def test_what_is_no_version_of_the_scheme_is_refused(scheme, text):
    with pytest.raises(NotAVersion):
        compare(scheme, text, "1.0.0")


@given(st.sampled_from(Scheme), st.lists(st.text("019ab.-+ ", max_size=12), min_size=3, max_size=3))
def test_the_order_has_no_circles(scheme, texts):
    a, b, c = (text if is_version(scheme, text) else "1.0.0" for text in texts)
    assert compare(scheme, a, b) == -compare(scheme, b, a)
    if compare(scheme, a, b) <= 0 and compare(scheme, b, c) <= 0:
        assert compare(scheme, a, c) <= 0
