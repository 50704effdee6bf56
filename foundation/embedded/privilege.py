"""How the embedded services run without root's powers: PostgreSQL refuses to run as root.

An ordinary user runs them directly. Root runs them in a user namespace of their own, where they are nobody and
hold no capability, yet own the files of a home only root may enter. Where user namespaces are switched off or the
home belongs to somebody else, they run as the service uid, with copies of the binaries and the data under
/var/lib/greenroom.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import ServicesUnavailable
from .home import Home

NOBODY = 65534
SERVICE_HOME = Path("/var/lib/greenroom")
_NAMESPACE = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")


@dataclass(frozen=True)
class Privilege:
    """Who runs the services and where their data lies."""

    prefix: tuple[str, ...]  # goes before every command
    uid: int | None  # to become, None: stay who we are
    data: Path  # folder of the data folders, enterable by that user
    copies: Path | None  # where binaries are copied to, None: run where they are

    @property
    def groups(self) -> list[int] | None:
        """The supplementary groups to become, None: keep ours."""
        return None if self.uid is None else []

    def binaries(self, *trees: Path) -> list[Path]:
        """Paths under which the service may execute what lies in `trees`: siblings, so links between them hold."""
        if self.copies is None:
            return list(trees)
        what = "".join(f"{tree}{tree.stat().st_mtime_ns}" for tree in trees)
        place = self.copies / hashlib.sha256(what.encode()).hexdigest()[:12]
        if not place.exists():
            self.copies.mkdir(mode=0o755, parents=True, exist_ok=True)
            draft = self.copies / f"{place.name}.{os.getpid()}.draft"
            for tree in trees:
                shutil.copytree(tree, draft / tree.name)
            draft.chmod(0o755)
            draft.rename(place)
        return [place / tree.name for tree in trees]

    def give(self, *paths: Path) -> None:
        """Hand files we wrote to the user who runs the services."""
        if self.uid is not None:
            for path in paths:
                os.chown(path, self.uid, self.uid)


def choose(home: Home, binary: Path) -> Privilege:
    """Find the way to run `binary` with data in `home`; raises ServicesUnavailable where there is none."""
    if os.geteuid() != 0:
        return Privilege(prefix=(), uid=None, data=home.path, copies=None)
    if _namespace_works(home, binary):
        return Privilege(prefix=_NAMESPACE, uid=None, data=home.path, copies=None)
    if (home.path / "postgres" / "data").exists():
        raise ServicesUnavailable(
            f"The data in {home.path} was made with user namespaces, which this system now refuses to root: "
            "allow them (sysctl user.max_user_namespaces), or run as the owner of the data."
        )
    try:
        uid = pwd.getpwuid(NOBODY).pw_uid  # initdb wants a name for its uid
    except KeyError:
        raise ServicesUnavailable(
            "PostgreSQL does not run as root, and this system has neither user namespaces nor a user 'nobody' "
            "to run it as: start as an ordinary user."
        ) from None
    data = service_data(home)
    try:
        SERVICE_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        data.mkdir(mode=0o700, exist_ok=True)
        os.chown(data, uid, uid)
    except OSError as error:
        raise ServicesUnavailable(f"{data} cannot be used: {error.strerror}.") from None
    return Privilege(prefix=(), uid=uid, data=data, copies=SERVICE_HOME / "binaries")


def service_data(home: Home) -> Path:
    """Where the data of `home` lies if its own folder cannot be used by the service uid."""
    return SERVICE_HOME / hashlib.sha256(os.fsencode(home.path)).hexdigest()[:12]


def _namespace_works(home: Home, binary: Path) -> bool:
    probe: list[str | Path] = ["sh", "-c", 'test -x "$1" && test -w "$2"', "sh", binary, home.path]
    try:
        tried = subprocess.run([*_NAMESPACE, *probe], capture_output=True, check=False)  # noqa: S603 - our own
    except FileNotFoundError:
        return False
    return tried.returncode == 0
