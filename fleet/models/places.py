"""Where things are: the tree of places, rooms in it, groups of rooms."""

from __future__ import annotations

from typing import ClassVar, Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from foundation.tenant_tables import TenantForeignKey, TenantModel, TenantQuerySet


class Place(TenantModel):
    """A node of the tree country > state > city > campus > building > floor; levels may be left out."""

    class Kind(models.TextChoices):
        COUNTRY = "country"
        STATE = "state"
        CITY = "city"
        CAMPUS = "campus"
        BUILDING = "building"
        FLOOR = "floor"

    parent = TenantForeignKey(
        "self", on_delete=models.PROTECT, related_name="children", null=True, blank=True
    )
    kind = models.CharField(max_length=12, choices=Kind)
    name = models.CharField(max_length=120)
    path = ArrayField(models.UUIDField(), default=list)  # its ancestors from the root, then itself
    full_name = models.CharField(max_length=400)  # "Norway › Oslo › Oslo HQ"
    time_zone = models.CharField(max_length=64)  # IANA; of a room too, unless it has its own
    country_code = models.CharField(max_length=2, blank=True)  # ISO 3166-1 alpha-2
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "parent", "name"],
                condition=Q(retired_at=None),
                nulls_distinct=False,
                name="fleet_place_one_per_name",
            )
        ]

    def __str__(self) -> str:
        return self.name


class RoomQuerySet(TenantQuerySet["Room"]):
    def current(self) -> Self:
        return self.filter(retired_at=None)

    def inside(self, place_id: UUID) -> Self:
        """Rooms anywhere below a place: of a building by its index, else by its places, which are few."""
        below = dict(Place.objects.filter(path__contains=[place_id]).values_list("id", "kind"))
        if below.get(place_id) == Place.Kind.BUILDING:
            return self.filter(site_id=place_id)
        return self.filter(place_id__in=list(below))

    def in_group(self, group_id: UUID) -> Self:
        members = RoomGroupMember.objects.filter(
            tenant_id=models.OuterRef("tenant_id"), room_id=models.OuterRef("id"), group_id=group_id
        )
        return self.filter(models.Exists(members))


class Room(TenantModel):
    """A meeting space, identified by its resource account, with one or more devices."""

    class State(models.TextChoices):
        """What pages show; the first that matches wins, in this order (fleet.health)."""

        UNENROLLED = "unenrolled"
        ONBOARDING = "onboarding"
        SUPPRESSED = "suppressed"
        UNMONITORED = "unmonitored"
        UNHEALTHY = "unhealthy"
        HEALTHY = "healthy"

    class Type(models.TextChoices):
        SMALL = "small"
        MEDIUM = "medium"
        LARGE = "large"

    class Licence(models.TextChoices):
        """Of the resource account; "" where nobody has said."""

        PRO = "pro"
        PREMIUM = "premium"
        BASIC = "basic"
        STANDARD = "standard"
        SYNCING = "syncing"  # being read from the directory
        UNLICENSED = "unlicensed"

    place = TenantForeignKey(Place, on_delete=models.PROTECT, related_name="rooms")
    site_id = models.UUIDField(null=True)  # the building (else the place) the fleet map draws it in
    name = models.CharField(max_length=120)
    resource_account = models.CharField(max_length=254, blank=True)
    room_type = models.CharField(max_length=8, choices=Type, blank=True)
    capacity = models.PositiveSmallIntegerField(null=True, blank=True)
    licence = models.CharField(max_length=10, choices=Licence, blank=True)
    licence_ends = models.DateField(
        null=True, blank=True
    )  # its last day, then a time of grace (fleet.licences)
    labels = ArrayField(
        models.CharField(max_length=40), default=list, blank=True
    )  # free words, as people wrote them
    time_zone = models.CharField(max_length=64)  # IANA
    expected = models.JSONField(default=dict, blank=True)  # equipment that must be there: {"camera_room": 1}

    state = models.CharField(max_length=12, choices=State, default=State.UNENROLLED)
    state_since = models.DateTimeField()
    open_faults = models.PositiveIntegerField(default=0)  # open, unsuppressed, Critical or Important
    open_warnings = models.PositiveIntegerField(default=0)  # open, unsuppressed, Warning or Recommended
    suppressed_until = models.DateTimeField(null=True, blank=True)
    suppressed_reason = models.CharField(max_length=200, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)  # of its devices, when a state changed

    version = models.PositiveIntegerField(default=1)  # of what people edit; the ETag
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)
    merged_into = TenantForeignKey(
        "self", on_delete=models.PROTECT, related_name="merged", null=True, blank=True
    )

    objects: ClassVar[RoomQuerySet] = RoomQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(  # a list filtered by state or place skips rows without reading them
                fields=["tenant", "name", "id"],
                include=["state", "place"],
                condition=Q(retired_at=None),
                name="fleet_room_list",
            ),
            models.Index(
                fields=["tenant", "state", "name", "id"],
                condition=Q(retired_at=None),
                name="fleet_room_state",
            ),
            models.Index(
                fields=["tenant", "licence", "name", "id"],
                condition=Q(retired_at=None),
                name="fleet_room_licence",
            ),
            models.Index(  # what became part of a room, for its page
                fields=["tenant", "merged_into"],
                condition=~Q(merged_into=None),
                name="fleet_room_merged",
            ),
            models.Index(  # a list filtered by a rare type finds its page without reading all rooms
                fields=["tenant", "room_type", "name", "id"],
                condition=Q(retired_at=None),
                name="fleet_room_type",
            ),
            models.Index(fields=["tenant", "site_id", "name", "id"], name="fleet_room_site"),
            models.Index(fields=["tenant", "place", "name", "id"], name="fleet_room_place"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "resource_account"],
                condition=~Q(resource_account="") & Q(retired_at=None),
                name="fleet_room_one_per_account",
            ),
            models.UniqueConstraint(
                fields=["tenant", "place", "name"],
                condition=Q(retired_at=None),
                name="fleet_room_one_per_name",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RoomWord(TenantModel):
    """One folded word of a room, its devices or serials: prefix search by range comparison.

    Under row-level security LIKE and lower() never reach an index; `word >= 'aur' AND word < 'aus'` does.
    """

    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="words")
    word = models.CharField(max_length=64, db_collation="C")

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "word", "room"], name="fleet_room_word_once"),
        ]
        indexes = [models.Index(fields=["tenant", "room", "word"], name="fleet_room_word_of_room")]


class ThingWord(TenantModel):
    """One folded word of a thing other than a room: a device, a peripheral, an asset. As RoomWord is read.

    `thing_id` is no key of the database, since it names rows of several tables: words of what is gone find nothing.
    """

    class Kind(models.TextChoices):
        DEVICE = "device"
        PERIPHERAL = "peripheral"
        ASSET = "asset"

    kind = models.CharField(max_length=10, choices=Kind)
    thing_id = models.UUIDField()
    word = models.CharField(max_length=64, db_collation="C")

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "kind", "word", "thing_id"], name="fleet_thing_word_once"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "thing_id", "word"], name="fleet_thing_word_of_thing")]


class RoomGroup(TenantModel):
    """Rooms taken together for scope, filters and routing. Every customer has one default group."""

    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    is_default = models.BooleanField(default=False)  # where new rooms go
    rule = models.JSONField(default=list, blank=True)  # clauses of fleet.group_rules that all have to hold
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="fleet_group_one_per_name"),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(is_default=True), name="fleet_group_one_default"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RoomGroupMember(TenantModel):
    """A room of a group: put there by a person, by the group's rule, or by both."""

    group = TenantForeignKey(RoomGroup, on_delete=models.CASCADE, related_name="members")
    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="group_members")
    by_hand = models.BooleanField(default=True)
    by_rule = models.BooleanField(default=False)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "group", "room"], name="fleet_group_member_once")
        ]
        indexes = [models.Index(fields=["tenant", "room"], name="fleet_group_member_room")]


class Counter(TenantModel):
    """A number pages show, kept by the transaction that changes what it counts, recounted nightly.

    `scope` is the site, or the tenant's own id for the whole; `name` e.g. "rooms.healthy", "incidents.critical".
    """

    scope = models.UUIDField()
    name = models.CharField(max_length=40)
    value = models.IntegerField(default=0)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "scope", "name"], name="fleet_counter_once")]


class RoomDay(TenantModel):
    """Health of a room on one local day (domain: more than 20 minutes of fault between 05:00 and 21:00)."""

    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()  # in the room's time zone
    healthy = models.BooleanField()
    fault_s = models.PositiveIntegerField(default=0)  # seconds covered by Critical or Important tickets
    silent_s = models.PositiveIntegerField(default=0)  # seconds without telemetry
    suppressed = models.BooleanField(default=False)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "room", "day"], name="fleet_room_day_once")]


class ClosedDay(TenantModel):
    """The last local day whose health is computed, for the rooms of one time zone."""

    time_zone = models.CharField(max_length=64)
    day = models.DateField()

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "time_zone"], name="fleet_closed_day_once")]
