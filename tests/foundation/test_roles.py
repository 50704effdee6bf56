from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("alias", ["GREENROOM_OWNER_DATABASE_URL", "superuser"])
def test_a_privileged_role_is_refused_at_start_with_the_reason(alias):
    from tests.environment import HOME, services

    address = os.environ.get(alias) or services(HOME, durable=False).superuser_url
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import portal.wsgi"],
        env={**os.environ, "DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "portal.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "Greenroom cannot start" in ended.stderr
    assert ("owns tables" if alias != "superuser" else "is a superuser") in ended.stderr
