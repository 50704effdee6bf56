"""The four addresses of PostgreSQL and Redis: given by the environment, all or none, or by the embedded services."""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from .errors import ServicesUnavailable

URLS = ("DATABASE_URL", "GREENROOM_OWNER_DATABASE_URL", "GREENROOM_SWEEP_DATABASE_URL", "REDIS_URL")
ROOT = Path(__file__).parents[2]


def home_path(environ: Mapping[str, str]) -> Path:
    """GREENROOM_HOME, absolute; `.greenroom` beside manage.py where it is not set."""
    return Path(os.path.abspath(environ.get("GREENROOM_HOME") or ROOT / ".greenroom"))


def are_given(environ: Mapping[str, str]) -> bool:
    """Whether the environment names all four; raises ServicesUnavailable where it names only some."""
    missing = [name for name in URLS if not environ.get(name)]
    if missing and len(missing) < len(URLS):
        raise ServicesUnavailable(
            f"Set all four of {', '.join(URLS)}, or none to use the embedded services: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing."
        )
    return not missing


def drop_empty(environ: MutableMapping[str, str]) -> None:
    """Drop empty values, so that they count as unset everywhere."""
    for name in URLS:
        if not environ.get(name, "unset"):
            del environ[name]
