"""What was said and who met never leaves the device."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.redaction import PRIVATE, REMOVED, document, text
from agent.signals import Reported, wire

SECRET = "Project Nightingale"


@pytest.mark.parametrize(
    "line",
    [
        f"Subject: {SECRET}",
        f"2026-11-22 INFO joining; meeting_subject={SECRET} with 4 people",
        f'Exchange: {{"Subject": "{SECRET}", "Start": "2026-11-22T09:00"}}',
        f'{{"calendar": [{{"id": 1, "bodyPreview": "{SECRET}"}}]}} then Organizer: {SECRET}',
        f'event {{"x": {{"chat_messages": [{{"text": "{SECRET}"}}]}}}}',
        f"Attendees: {SECRET}; two more\nOrganiser = {SECRET}",
        f'{{"Description": "Contact: {SECRET}"}}',
        f"{{broken Subject: {SECRET}",
        f"Body:\nDear all,\nabout {SECRET} tomorrow\n\nResult: sent",
        f"Chat: hello\nand {SECRET}",
    ],
)
def test_what_was_said_is_removed_from_logs(line):
    cleaned = text(line)
    assert SECRET not in cleaned
    assert REMOVED in cleaned


def test_the_rest_of_a_line_stays():
    event = '{"OperationName": "Heartbeat", "OperationResult": "Fail", "AppVersion": "5.4.218.0", "Alias": "aurora"}'
    assert json.loads(text(event)) == json.loads(event)
    assert text("camera not found; disk 12 % free") == "camera not found; disk 12 % free"


@given(st.sampled_from(sorted(PRIVATE)), st.text(alphabet="QXZ", min_size=12), st.integers(0, 4))
def test_private_members_are_removed_however_deep(name, said, depth):
    value = {name.title(): said}
    for _ in range(depth):
        value = {"outer": [value]}
    assert said not in json.dumps(document(value), ensure_ascii=False).replace(REMOVED, "")


def test_details_of_signals_are_cleaned_before_they_are_sent():
    sent = wire({"signin_exchange": [Reported("unhealthy", f"cannot read Subject: {SECRET}")]})
    assert SECRET not in json.dumps(sent)
