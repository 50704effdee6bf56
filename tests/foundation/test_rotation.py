"""A rotation of the keys of stored secrets while everything goes on: nothing is unreadable at any moment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.core.management.base import CommandError

from foundation import clock, idempotency, keyring, mail, rotation, secrets
from foundation.context import tenant
from foundation.errors import Conflict
from foundation.models import IdempotencyRecord, OutboxEntry
from tests.factories.sign_in import add_app, sign_in, totp
from tests.factories.tenancy import make_customer, make_person

SECRET = "the-secret-of-an-invitation"


@pytest.fixture
def home(settings, tmp_path):
    settings.GREENROOM_FIELD_KEYS = []
    settings.GREENROOM_HOME = tmp_path
    return tmp_path


def settle(home: Path) -> None:
    """Let the newest key have been made earlier."""
    path = keyring.path_of(home, keyring.FIELD_KEYS)
    long_ago = path.stat().st_mtime - rotation.SETTLED.total_seconds()
    os.utime(path, (long_ago, long_ago))


def test_every_sealed_secret_moves_to_the_new_key_and_still_opens(home, customer, at):
    person = make_person(customer, "pro_manager", at=at).user
    app, _ = add_app(sign_in(person))
    with tenant(customer.id):
        entry = mail.queue(
            tenant_id=customer.id, to="a@b.example", subject="S", text=f"x {mail.HERE}", secret=SECRET, at=at
        )
        idempotency.begin(customer.id, "POST /x", "k", "h", at=at)
        body = secrets.seal("{}", tenant_id=customer.id, field="answer").decode()
        idempotency.finish(customer.id, "POST /x", "k", status=201, body=body)
    old = secrets.keys().newest
    assert sign_in(person).post("/sign-in/code", {"code": totp(app, steps=1)}).status_code == 302

    fresh = rotation.add_key()
    assert rotation.under([customer.id])[old] >= 3
    assert rotation.reseal([customer.id]) >= 3
    assert rotation.reseal([customer.id]) == 0
    settle(home)
    assert rotation.drop_old_keys([customer.id], at=clock.now()) == [old]

    with tenant(customer.id):
        payload = OutboxEntry.objects.for_tenant(customer).get(id=entry.id).payload
        assert mail.text_of(payload, tenant_id=customer.id) == f"x {SECRET}"
        kept = IdempotencyRecord.objects.for_tenant(customer).get(key="k").body
    assert secrets.key_of(kept) == fresh
    data = str(list(Authenticator.objects.filter(user=person).values_list("data", flat=True)))
    assert set(re.findall(r"grs1\.([0-9a-f]{8})\.", data)) == {fresh}
    assert sign_in(person).get("/sign-in/code").status_code == 200  # and the app's secret opens


def test_an_old_key_stays_while_something_needs_it_or_it_was_in_use_a_moment_ago(home, customer, at):
    with tenant(customer.id):
        mail.queue(tenant_id=customer.id, to="a@b.example", subject="S", text=mail.HERE, secret=SECRET, at=at)
    rotation.add_key()
    settle(home)
    with pytest.raises(Conflict, match="1 secrets are still sealed"):
        rotation.drop_old_keys([customer.id], at=clock.now())
    rotation.reseal([customer.id])
    rotation.add_key()
    rotation.reseal([customer.id])
    with pytest.raises(Conflict, match="younger than 10 minutes"):
        rotation.drop_old_keys([customer.id], at=clock.now())
    assert len(secrets.keys().by_id) == 3


def test_a_key_added_by_another_process_is_used_at_once(home):
    sealed = secrets.seal("x", tenant_id=UUID(int=0), field="f")
    code = "import sys; from pathlib import Path; from foundation import keyring; from cryptography.fernet import Fernet;"
    code += "home = Path(sys.argv[1]); fresh = Fernet.generate_key().decode();"
    code += "keyring.replace_keys(home, [fresh, *keyring.kept_keys(home)]); print(keyring.id_of(fresh))"
    told = subprocess.run([sys.executable, "-c", code, home], capture_output=True, text=True, check=True)
    assert secrets.keys().newest == told.stdout.strip()
    assert secrets.unseal(sealed, tenant_id=UUID(int=0), field="f") == "x"
    assert (keyring.path_of(home, keyring.FIELD_KEYS).stat().st_mode & 0o777) == 0o600


def test_keys_given_by_the_settings_are_never_changed(settings, at):
    settings.GREENROOM_FIELD_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(Conflict):
        rotation.add_key()
    with pytest.raises(Conflict):
        rotation.drop_old_keys([], at=at)


def test_the_command_rotates_says_what_is_left_and_drops(home, committed_db, capsys):
    at = clock.now()
    owner = make_customer(at=at)
    with tenant(owner.id):
        mail.queue(tenant_id=owner.id, to="a@b.example", subject="S", text=mail.HERE, secret=SECRET, at=at)
    old = secrets.keys().newest
    call_command("rotate_secrets")
    told = capsys.readouterr().out
    assert f"{old}: 0 secrets left" in told
    with pytest.raises(CommandError, match="younger"):
        call_command("rotate_secrets", "--drop-old")
    settle(home)
    call_command("rotate_secrets", "--drop-old")
    assert f"Forgotten: {old}" in capsys.readouterr().out
    assert list(secrets.keys().by_id) == [secrets.keys().newest]
    call_command("rotate_secrets", "--status")
    assert "the newest" in capsys.readouterr().out
