"""Who and what the demo shows. All names are invented."""

from __future__ import annotations

from dataclasses import dataclass

OPERATOR = "Greenroom Operations"


@dataclass(frozen=True)
class DemoPerson:
    name: str
    email: str
    role: str  # key of a built-in role


@dataclass(frozen=True)
class DemoSite:
    """A building with its rooms; `path` from the country down, each with its kind."""

    path: tuple[tuple[str, str], ...]
    country_code: str
    time_zone: str
    rooms: tuple[str, ...]


@dataclass(frozen=True)
class DemoCustomer:
    name: str
    domain: str
    people: tuple[DemoPerson, ...]
    sites: tuple[DemoSite, ...]
    groups: dict[str, tuple[str, ...]]  # name: sites
    watch_s: int | None  # watch period of every signal; None keeps each signal's own
    heartbeat_interval_s: int


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


OSLO = DemoSite(
    (("country", "Norway"), ("city", "Oslo"), ("building", "Oslo HQ")),
    "NO",
    "Europe/Oslo",
    _names(
        "Aurora Bjerk Dovre Ekeberg Finse Galdhø Hardanger Isfjord Jotun Kolsås Lofoten Mjøsa Nordmarka Oppdal Preikestol Rondane"
    ),
)
LONDON = DemoSite(
    (("country", "United Kingdom"), ("city", "London"), ("building", "Bishopsgate")),
    "GB",
    "Europe/London",
    _names("Albion Borough Camden Deptford Ealing Fulham Greenwich Holborn Islington Kew Lambeth Mayfair"),
)
CHICAGO = DemoSite(
    (("country", "United States"), ("state", "Illinois"), ("city", "Chicago"), ("building", "Chicago Loop")),
    "US",
    "America/Chicago",
    _names("Adams Burnham Clark Dearborn Erie Franklin Grant Halsted"),
)
BRISTOL = DemoSite(
    (("country", "United Kingdom"), ("city", "Bristol"), ("building", "Harbour Clinic")),
    "GB",
    "Europe/London",
    _names(
        "Avon Brunel Clifton Dundry Easton Filton Gorge Henbury Keynsham Leigh Mendip Nailsea Redland Severn"
    ),
)
LAKEVIEW = DemoSite(
    (("country", "United States"), ("state", "Illinois"), ("city", "Chicago"), ("building", "Lakeview")),
    "US",
    "America/Chicago",
    _names("Addison Belmont Cornelia Diversey Fullerton Grace Irving Montrose Roscoe Waveland"),
)
CUSTOMERS = (
    DemoCustomer(
        name="Halden Group",
        domain="halden.example",
        people=(
            DemoPerson("Ingrid Solberg", "ingrid.solberg@halden.example", "pro_manager"),
            DemoPerson("Tom Baker", "tom.baker@halden.example", "site_technician"),
            DemoPerson("Ana Reyes", "ana.reyes@halden.example", "global_reader"),
        ),
        sites=(OSLO, LONDON, CHICAGO),
        groups={"Europe": ("Oslo HQ", "Bishopsgate"), "North America": ("Chicago Loop",)},
        watch_s=10,
        heartbeat_interval_s=20,
    ),
    DemoCustomer(
        name="Meridian Health",
        domain="meridian.example",
        people=(DemoPerson("Priya Nair", "priya.nair@meridian.example", "pro_manager"),),
        sites=(BRISTOL, LAKEVIEW),
        groups={"Clinics": ("Harbour Clinic",)},
        watch_s=None,
        heartbeat_interval_s=60,
    ),
)
OPERATORS = (
    DemoPerson("Mina Okafor", "mina.okafor@operations.example", "soc_agent"),
    DemoPerson("Piotr Kowal", "piotr.kowal@operations.example", "soc_lead"),
)
EQUIPMENT = {"camera_room": 1, "mic_conf": 1, "spk_conf": 1, "display_front": 2}
# make, model, kind, certification, days until support ends; what the simulated rooms consist of
CATALOGUE: tuple[tuple[str, str, str, str, int | None], ...] = (
    ("Nordlys", "Room Base 3", "room_system", "certified", None),
    ("Kontor", "Flex 160", "room_system", "certified", 200),
    ("Vesper", "Panorama One", "room_system", "not_certified", None),
    ("Nordlys", "Wide 4K", "camera", "certified", None),
    ("Vesper", "Ceiling Array", "microphone", "certified", 900),
    ("Vesper", "Bar 2", "speaker", "certified", None),
)
