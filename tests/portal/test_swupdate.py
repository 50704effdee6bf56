"""SWUpdate, the real program, against the portal: it polls, downloads a signed image with ranges, installs and reports."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.db import transaction

from enrollment import credentials
from foundation import clock
from foundation.context import tenant
from tests.factories.tenancy import make_customer
from tests.factories.updates import make_fleet
from tests.portal import browser as served_by
from updates import attempts, proposals, releases, rollout_actions, rollout_progress
from updates.models import Attempt, AttemptReport, RolloutTarget, UpdateClient

SWUPDATE = shutil.which("swupdate")
pytestmark = pytest.mark.skipif(SWUPDATE is None, reason="the program swupdate is needed (Debian's package)")
PATIENCE_S = 60
PAYLOAD = b"console system 2.0\n" * 200_000


def cpio(files: list[tuple[str, bytes]]) -> bytes:
    """An archive of the kind SWUpdate reads: new ASCII format with checksums (cpio(5))."""
    archive = b""
    for number, (name, data) in enumerate([*files, ("TRAILER!!!", b"")], 1):
        fields = [number, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, sum(data) & 0xFFFFFFFF]
        head = b"070702" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        archive += head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
    return archive + b"\0" * (-len(archive) % 512)


def signed_image(into: Path, certificate: Path, *, payload: bytes, breaks: bool = False) -> bytes:
    """An image that puts `payload` into a file. `breaks`: where nothing can be put."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Greenroom test")])
    at = clock.now()
    signer = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(signer.public_bytes(serialization.Encoding.PEM))
    target = "/nowhere/at/all" if breaks else into
    description = (
        'software = { version = "2.0"; hardware-compatibility: [ "1.0" ]; files: ( { filename = "app.bin"; '
        f'path = "{target}"; sha256 = "{hashlib.sha256(payload).hexdigest()}"; }} ); }}\n'
    ).encode()
    options = [
        pkcs7.PKCS7Options.DetachedSignature,
        pkcs7.PKCS7Options.Binary,
        pkcs7.PKCS7Options.NoCapabilities,
    ]
    signature = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(description)
        .add_signer(signer, key, hashes.SHA256())
        .sign(serialization.Encoding.DER, options)
    )
    return cpio([("sw-description", description), ("sw-description.sig", signature), ("app.bin", payload)])


class Box:
    """A device with SWUpdate on it, and the customer's side of it."""

    def __init__(self, address: str, folder: Path, *, breaks: bool = False) -> None:
        self.address, self.folder, self.installed = address, folder, folder / "installed.bin"
        at = clock.now()
        self.owner = make_customer(at=at)
        image = signed_image(self.installed, folder / "signer.pem", payload=PAYLOAD, breaks=breaks)
        with tenant(self.owner.id):
            [self.device] = make_fleet(rings_of={"Staging": 1}, versions={}, at=at)["Staging"]
            self.token = credentials.issue(self.device, public_key=None, at=at).text
            release = releases.add_release(name="Console system", kind="os_quality", version="2.0", at=at)
            releases.keep_file(release.id, io.BytesIO(image), "console-2.0.swu", at=at)
            self.rollout = proposals.propose(release.id, health_minutes=0, at=at)
            rollout_actions.approve(self.rollout.id, at=at)
            rollout_actions.start(self.rollout.id, at=at)
            target = RolloutTarget.objects.for_tenant(self.owner).get(device=self.device)
            if target.state == "scheduled":
                rollout_actions.force(self.rollout.id, target.id, when="now", reason="Test", at=at)
                rollout_progress.advance(self.rollout.id, self.owner.id, at=at)

    @contextmanager
    def running(self, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        daemon = f"-t DEFAULT -u {self.address} -i box-12 -k {self.token} -p 1 {' '.join(more)}"
        command = [
            str(SWUPDATE),
            "-v",
            "-k",
            str(self.folder / "signer.pem"),
            "-H",
            "board:1.0",
            "-u",
            daemon,
        ]
        with (self.folder / "swupdate.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "TMPDIR": str(self.folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield process
            finally:
                process.terminate()
                process.wait(timeout=20)

    def attempt(self) -> Attempt:
        with tenant(self.owner.id):
            return Attempt.objects.for_tenant(self.owner).get(device=self.device)

    def reports(self) -> list[tuple[str, str]]:
        with tenant(self.owner.id):
            rows = AttemptReport.objects.for_tenant(self.owner).filter(by_device=True).order_by("at", "id")
            return list(rows.values_list("execution", "finished"))

    def log(self) -> str:
        return (self.folder / "swupdate.log").read_text(errors="replace")

    def wait_for(self, reached: Any) -> None:
        """Asked for again and again, until it is so or the patience is over."""
        ends = clock.now() + timedelta(seconds=PATIENCE_S)
        while not reached():
            late = f"{self.attempt().state} {self.reports()}\n{self.log()[-4000:]}"
            assert clock.now() < ends, late
            time.sleep(0.1)  # the program's own pace


@pytest.fixture
def address(committed_db: None) -> Iterator[str]:
    with served_by.served() as served:
        yield served


def test_swupdate_installs_a_signed_image_and_says_so(address: str, tmp_path: Path) -> None:
    box = Box(address, tmp_path)
    with box.running():
        box.wait_for(lambda: "Update successful" in box.log())
    assert box.installed.read_bytes() == PAYLOAD
    assert box.attempt().state == "installing"
    assert ("closed", "success") not in box.reports(), "it has to restart first"
    with box.running("-c 2"):  # as its start-up script calls it once the new system runs
        box.wait_for(lambda: box.attempt().installed_at is not None)
    assert box.attempt().state in ("verifying", "succeeded")
    assert ("closed", "success") in box.reports()
    with tenant(box.owner.id):
        client = UpdateClient.objects.for_tenant(box.owner).get()
        assert client.controller_id == "box-12"
        assert client.program.startswith("libcurl-agent")


def test_what_swupdate_cannot_install_failed(address: str, tmp_path: Path) -> None:
    box = Box(address, tmp_path, breaks=True)
    with box.running():
        box.wait_for(lambda: box.attempt().ended_at is not None)
    attempt = box.attempt()
    assert attempt.state == "failed"
    assert attempt.detail
    with tenant(box.owner.id):
        target = RolloutTarget.objects.for_tenant(box.owner).get()
        assert (target.state, target.reason) == ("failed", "device_failed")


def test_swupdate_stops_when_it_is_asked_to(address: str, tmp_path: Path) -> None:
    box = Box(address, tmp_path)
    with transaction.atomic(), tenant(box.owner.id):
        attempts.fetched(box.attempt(), at=clock.now())
        stopped = rollout_actions.pause(box.rollout.id, reason="Echo", at=clock.now())
        assert stopped.withdrawn.asked == 1
    with box.running():
        box.wait_for(lambda: box.attempt().ended_at is not None)
    assert box.attempt().state == "cancelled"
    assert not box.installed.exists()
