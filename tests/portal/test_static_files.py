"""Static files: their size, their names before and after collecting."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client, override_settings

from portal.static_files import StaticFiles, collect_if_stale

SOURCES = Path(settings.BASE_DIR) / "static"


def packed(*names: str) -> int:
    return sum(len(gzip.compress((SOURCES / name).read_bytes(), 9)) for name in names)


def test_styles_and_scripts_keep_to_their_budget():
    assert packed("greenroom.css") <= 14 * 1024
    assert packed("greenroom.js", "live.js", "theme.js") <= 8 * 1024


def test_nothing_of_ours_needs_a_policy_exception():
    for script in SOURCES.glob("*.js"):
        text = script.read_text()
        assert "eval(" not in text
        assert ".style." not in text, f"{script.name} writes inline style"
        assert "://" not in text, f"{script.name} names another place"


@pytest.fixture
def root(tmp_path):
    with override_settings(STATIC_ROOT=tmp_path / "static"):
        yield tmp_path / "static"


def test_before_collecting_files_have_plain_names_and_are_served(root):
    assert StaticFiles().url("greenroom.css") == "/static/greenroom.css"
    answer = Client().get("/static/greenroom.css")
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content) == (SOURCES / "greenroom.css").read_bytes()


def test_collecting_gives_names_for_good_and_is_done_once(root):
    assert collect_if_stale()
    assert not collect_if_stale()
    url = StaticFiles().url("greenroom.css")
    assert url.startswith("/static/greenroom.")
    assert url != "/static/greenroom.css"
    answer = Client().get(url, headers={"Accept-Encoding": "br"})
    assert answer["Content-Encoding"] == "br"
    assert "immutable" in answer["Cache-Control"]
    b"".join(answer.streaming_content)


def test_a_changed_source_is_collected_again(root):
    collect_if_stale()
    (root / "collected").write_text("of another time")
    assert collect_if_stale()


def test_htmx_comes_from_its_package():
    assert finders.find("django_htmx/htmx-2.min.js")
