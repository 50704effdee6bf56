from __future__ import annotations

import pytest

from foundation.environment import BadSetting, Environment


def read(**variables):
    environment = Environment(variables)
    port = environment.integer("GREENROOM_PORT", 8000, "Port.", least=1, most=65534)
    debug = environment.flag("GREENROOM_DEBUG", False, "Debug.")
    database = environment.database("DATABASE_URL", "Database.")
    environment.finish()
    return port, debug, database


def test_defaults_and_given_values():
    assert read() == (8000, False, {})
    port, debug, database = read(
        GREENROOM_PORT="9000", GREENROOM_DEBUG="yes", DATABASE_URL="postgresql://app:p%40ss@db:6432/rooms"
    )
    assert (port, debug) == (9000, True)
    assert database == {"NAME": "rooms", "USER": "app", "PASSWORD": "p@ss", "HOST": "db", "PORT": "6432"}


def test_every_bad_value_is_named_at_once():
    with pytest.raises(BadSetting) as refusal:
        read(GREENROOM_PORT="99999", GREENROOM_DEBUG="maybe", DATABASE_URL="mysql://x/y")
    text = str(refusal.value)
    assert "GREENROOM_PORT must be 1 to 65534." in text
    assert "GREENROOM_DEBUG must be true or false." in text
    assert "DATABASE_URL must look like postgresql://" in text
    assert len(text.splitlines()) == 4
