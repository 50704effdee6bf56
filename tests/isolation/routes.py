"""Every address of the product and what it needs. A route without an entry fails the matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.isolation.world import Customer

Body = Callable[[Customer], dict[str, Any]]


def _tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


@dataclass(frozen=True)
class Route:
    """`things`: which object each argument names. `methods`: permission each method needs. `bodies`: what it sends."""

    methods: dict[str, str]
    things: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)  # arguments that name no object
    bodies: dict[str, Body] = field(default_factory=dict)
    query: str = ""


def reads(permission: str, **things: str) -> Route:
    return Route({"GET": permission}, things)


def posts(permission: str, body: Body | None = None, **things: str) -> Route:
    return Route({"POST": permission}, things, bodies={"POST": body} if body else {})


def form(permission: str, body: Body | None = None, **things: str) -> Route:
    """A dialog: shown by GET, sent by POST."""
    return Route({"GET": permission, "POST": permission}, things, bodies={"POST": body} if body else {})


PAGES = {
    "portal:overview": reads("rooms.view"),
    "portal:organisation": posts("rooms.view", lambda own: {"organisation": str(own.tenant.id)}),
    "portal:room-list": reads("rooms.view"),
    "portal:room-add": form("rooms.modify"),
    "portal:room-detail": reads("rooms.view", room_id="room"),
    "portal:room-edit": form("rooms.modify", room_id="room"),
    "portal:room-suppress": form("rooms.modify", room_id="room"),
    "portal:room-unsuppress": posts("rooms.modify", room_id="room"),
    "portal:room-merge": form("rooms.modify", room_id="room"),
    "portal:room-retire": form("rooms.unenroll", room_id="room"),
    "portal:bulk-list": reads("rooms.modify"),
    "portal:bulk-new": posts("rooms.modify", lambda own: {"room": str(own.ids["room"])}),
    "portal:bulk-detail": form("rooms.modify", edit_id="edit"),
    "portal:bulk-start": posts("rooms.modify", edit_id="edit"),
    "portal:bulk-undo": posts("rooms.modify", edit_id="edit"),
    "portal:asset-add": form("rooms.modify", room_id="room"),
    "portal:asset-edit": form("rooms.modify", asset_id="asset"),
    "portal:asset-move": form("rooms.modify", asset_id="asset"),
    "portal:asset-remove": form("rooms.modify", asset_id="asset"),
    "portal:export-list": reads("rooms.view"),
    "portal:export-new": form("rooms.view"),
    "portal:export-cancel": posts("rooms.view", job_id="export_queued"),
    "portal:export-download": reads("rooms.view", job_id="export"),
    "portal:import-list": reads("rooms.modify"),
    "portal:import-new": form("rooms.modify"),
    "portal:import-detail": reads("rooms.modify", run_id="import"),
    "portal:import-check": posts("rooms.modify", lambda _: {"name": "0"}, run_id="import"),
    "portal:import-apply": posts("rooms.modify", run_id="import"),
    "portal:import-cancel": posts("rooms.modify", run_id="import"),
    "portal:import-problems-download": reads("rooms.modify", run_id="import"),
    "portal:incident-list": reads("tickets.view"),
    "portal:incident-detail": reads("tickets.view", incident_id="incident"),
    "portal:incident-comment": posts("tickets.modify", lambda _: {"text": "hello"}, incident_id="incident"),
    "portal:incident-done": posts("tickets.modify", incident_id="incident"),
    "portal:incident-reopen": posts("tickets.modify", incident_id="incident"),
    "portal:incident-record": form("tickets.modify"),
    "portal:incident-resolve": form("tickets.modify", incident_id="incident"),
    "portal:incident-merge": form("tickets.modify", incident_id="incident"),
    "portal:incident-link": form("tickets.modify", incident_id="incident"),
    "portal:incident-unlink": posts("tickets.modify", incident_id="incident", other_id="linked"),
    "portal:incident-impact": form("tickets.modify", incident_id="incident"),
    "portal:incident-usual-impact": posts("tickets.modify", incident_id="incident"),
    "portal:incident-rooms": form("tickets.modify", incident_id="linked"),
    "portal:incident-attach": form("tickets.modify", incident_id="incident"),
    "portal:incident-detach": form("tickets.modify", incident_id="incident", attachment_id="attachment"),
    "portal:incident-attachment": reads("tickets.view", incident_id="incident", attachment_id="attachment"),
    "portal:catalogue-list": reads("inventory.view"),
    "portal:catalogue-add": form("inventory.modify"),
    "portal:catalogue-row": reads("inventory.view", row_id="catalogue_row"),
    "portal:catalogue-edit": form("inventory.modify", row_id="catalogue_row"),
    "portal:catalogue-remove": form("inventory.modify", row_id="catalogue_row"),
    "portal:event-list": reads("tickets.view"),
    "portal:event-flag": form("tickets.modify", event_id="event"),
    "portal:site-list": reads("rooms.view"),
    "portal:site-add": form("rooms.modify"),
    "portal:site-edit": form("rooms.modify", place_id="place"),
    "portal:site-move": form("rooms.modify", place_id="place"),
    "portal:site-merge": form("rooms.modify", place_id="place"),
    "portal:site-retire": form("rooms.modify", place_id="place"),
    "portal:group-list": reads("groups.view"),
    "portal:group-add": form("groups.create"),
    "portal:group-detail": reads("groups.view", group_id="group"),
    "portal:group-edit": form("groups.modify", group_id="group"),
    "portal:group-rule": form("groups.modify", group_id="group"),
    "portal:group-delete": form("groups.modify", group_id="group"),
    "portal:group-add-room": posts(
        "groups.modify", lambda own: {"room": str(own.ids["room"])}, group_id="group"
    ),
    "portal:group-remove-room": posts(
        "groups.modify", lambda own: {"room": str(own.ids["room"])}, group_id="group"
    ),
    "portal:room-updates": reads("updates.view", room_id="room"),
    "portal:room-ring": form("updates.modify", room_id="room"),
    "portal:update-board": reads("updates.view"),
    "portal:rollout-new": form("updates.create"),
    "portal:rollout-detail": reads("updates.view", rollout_id="rollout"),
    "portal:rollout-approve": form("updates.create", rollout_id="rollout"),
    "portal:rollout-start": form("updates.create", rollout_id="rollout"),
    "portal:rollout-pause": form("updates.modify", rollout_id="rollout"),
    "portal:rollout-resume": form("updates.modify", rollout_id="rollout"),
    "portal:rollout-cancel": form("updates.modify", rollout_id="rollout"),
    "portal:rollout-retry": form("updates.modify", rollout_id="rollout"),
    "portal:rollout-roll-back": form("updates.modify", rollout_id="rollout"),
    "portal:rollout-approve-ring": form("updates.create", rollout_id="rollout", ring_id="staging"),
    "portal:target-retry": form("updates.modify", rollout_id="rollout", target_id="target"),
    "portal:target-force": form("updates.modify", rollout_id="rollout", target_id="target"),
    "portal:release-list": reads("updates.view"),
    "portal:release-add": form("updates.create"),
    "portal:release-detail": reads("updates.view", release_id="release"),
    "portal:release-edit": form("updates.create", release_id="release"),
    "portal:release-upload": posts("updates.create", release_id="release"),
    "portal:release-deprecate": form("updates.create", release_id="release"),
    "portal:ring-list": reads("updates.view"),
    "portal:ring-add": form("updates.create"),
    "portal:ring-detail": reads("updates.view", ring_id="ring"),
    "portal:ring-edit": form("updates.create", ring_id="ring"),
    "portal:ring-delete": form("updates.create", ring_id="ring"),
    "portal:ring-add-room": posts(
        "updates.modify", lambda own: {"room": str(own.ids["room"])}, ring_id="ring"
    ),
    "portal:ring-remove-room": posts(
        "updates.modify", lambda own: {"room": str(own.ids["room"])}, ring_id="ring"
    ),
    "portal:ring-add-group": form("updates.modify", ring_id="ring"),
    "portal:ring-remove-group": posts("updates.modify", ring_id="ring", group_id="group"),
    "portal:hours-set": form("updates.create"),
    "portal:hours-remove": form("updates.create", group_id="group"),
    "portal:version-spread": reads("updates.view"),
    "portal:compliance-export": posts("updates.view"),
    "portal:compliance-download": reads("updates.view", job_id="compliance_export"),
    "portal:key-list": reads("keys.download"),
    "portal:key-new": form("keys.download"),
    "portal:key-revoke": form("keys.reset", key_id="key"),
    "portal:issuer-add": form("keys.reset"),
    "portal:issuer-remove": form("keys.reset", issuer_id="issuer"),
    "portal:join": reads("rooms.modify"),
    "portal:device-accept": form("rooms.modify", device_id="waiting_device"),
    "portal:device-refuse": form("rooms.modify", device_id="waiting_device"),
    "portal:device-unenroll": form("rooms.unenroll", device_id="device"),
    "portal:search": reads("rooms.view"),
    "portal:device-list": reads("rooms.view"),
    "portal:peripheral-list": reads("rooms.view"),
    "portal:view-add": Route({"POST": "rooms.view"}, query="?list=rooms&state=healthy"),
    "portal:view-open": reads("rooms.view", view_id="view"),
    "portal:view-edit": form("rooms.view", view_id="view"),
    "portal:view-delete": form("rooms.view", view_id="view"),
    "portal:person-list": reads("roles.view"),
    "portal:person-detail": reads("roles.view", person_id="person"),
    "portal:person-give": form("roles.modify", person_id="person"),
    "portal:person-withdraw": form("roles.modify", person_id="person", row_id="given"),
    "portal:person-sign-out": form("roles.modify", person_id="person"),
    "portal:person-end": form("roles.modify", person_id="person"),
    "portal:person-let-in": form("roles.modify", person_id="person"),
    "portal:person-erase": form("roles.modify", person_id="person"),
    "portal:person-export": posts("roles.modify", person_id="person"),
    "portal:person-download": reads("roles.modify", job_id="person_export"),
    "portal:invitation-new": form("roles.modify"),
    "portal:invitation-revoke": form("roles.modify", invitation_id="invitation"),
    "portal:invitation-resend": form("roles.modify", invitation_id="invitation"),
    "portal:role-list": reads("roles.view"),
    "portal:role-add": form("roles.modify"),
    "portal:role-detail": reads("roles.view", role_id="role"),
    "portal:role-edit": form("roles.modify", role_id="role"),
    "portal:role-delete": form("roles.modify", role_id="role"),
    "portal:assignment-list": reads("roles.view"),
    "portal:assignment-add": form("roles.modify"),
    "portal:assignment-edit": form("roles.modify", assignment_id="assignment"),
    "portal:assignment-remove": form("roles.modify", assignment_id="assignment"),
    "portal:token-list": reads("rooms.view"),
    "portal:token-new": form("rooms.view"),
    "portal:token-revoke": form("roles.modify", token_id="token"),  # without it, one's own alone
    "portal:partner-list": reads("roles.view"),
    "portal:partner-invite": form("roles.modify"),
    "portal:partner-edit": form("roles.modify", grant_id="partner"),
    "portal:partner-end": form("roles.modify", grant_id="partner"),
    "portal:action-approve": form("roles.modify", action_id="action"),
    "portal:action-deny": posts("roles.modify", action_id="action"),
    "portal:access-end": form("roles.modify", access_id="access"),
    "portal:audit-log": reads("audit.export"),
    "portal:audit-export": posts("audit.export"),
    "portal:audit-download": reads("audit.export", job_id="audit_export"),
    "portal:privacy": reads("rooms.view"),
    "portal:directory": form("roles.modify"),
    "portal:directory-remove": form("roles.modify"),
    "portal:suppression-list": reads("rooms.view"),
    "portal:suppression-add": form("rooms.modify"),
    "portal:suppression-end": form("rooms.modify", suppression_id="suppression"),
    "portal:window-list": reads("rooms.view"),
    "portal:window-add": form("rooms.modify"),
    "portal:window-end": form("rooms.modify", window_id="window"),
    "portal:signal-settings": reads("settings.view"),
    "portal:signal-edit": Route(
        {"GET": "settings.signals", "POST": "settings.signals"}, values={"signal": "camera_room"}
    ),
    "portal:signal-reset": Route({"POST": "settings.signals"}, values={"signal": "camera_room"}),
}
CONSOLE = {
    "portal:queue": reads("queue.work"),
    "portal:console-tenants": reads("queue.work"),
    "portal:console-serving": reads("tenants.delegate"),
    "portal:console-serve": form("tenants.delegate", tenant_id="tenant"),
    "portal:console-serving-end": form("tenants.delegate", tenant_id="tenant", user_id="served_by"),
    "portal:console-ticket": reads("queue.work", incident_id="incident"),
    "portal:queue-preview": reads("queue.work", incident_id="incident"),
    "portal:console-break-glass": form("queue.work", tenant_id="tenant"),
    "portal:console-break-glass-end": form("queue.work", tenant_id="tenant"),
    "portal:console-take": posts("queue.work", incident_id="incident"),
    "portal:console-reply": posts("queue.work", lambda _: {"text": "hello"}, incident_id="incident"),
    "portal:console-hand-over": form("queue.assign", incident_id="incident"),  # an agent only what he holds
    "portal:console-resolve": form("queue.work", incident_id="incident"),
    "portal:console-reopen": posts("queue.work", incident_id="incident"),
    "portal:console-merge": form("queue.work", incident_id="incident"),
    "portal:console-link": form("queue.work", incident_id="incident"),
    "portal:console-unlink": posts("queue.work", incident_id="incident", other_id="linked"),
    "portal:console-impact": form("queue.work", incident_id="incident"),
    "portal:console-usual-impact": posts("queue.work", incident_id="incident"),
    "portal:console-rooms": form("queue.work", incident_id="linked"),
    "portal:console-attach": form("queue.work", incident_id="incident"),
    "portal:console-detach": form("queue.work", incident_id="incident", attachment_id="attachment"),
    "portal:console-attachment": reads("queue.work", incident_id="incident", attachment_id="attachment"),
}
API = {
    "api:rooms": Route({"GET": "rooms.view", "POST": "rooms.modify"}),
    "api:room": Route(
        {"GET": "rooms.view", "PATCH": "rooms.modify", "DELETE": "rooms.modify"}, {"room_id": "room"}
    ),
    "api:room-suppression": Route(
        {"PUT": "rooms.modify", "DELETE": "rooms.modify"},
        {"room_id": "room"},
        bodies={"PUT": lambda _: {"until": "2099-01-01T00:00:00Z", "reason": "refit"}},
    ),
    "api:room-health": reads("rooms.view", room_id="room"),
    "api:room-sign-in": Route(
        {"PUT": "rooms.modify"},
        {"room_id": "room"},
        bodies={"PUT": lambda _: {"signed_in_at": "2026-01-01T00:00:00Z"}},
    ),
    "api:devices": reads("rooms.view"),
    "api:device": reads("rooms.view", device_id="device"),
    "api:device-accept": posts(
        "rooms.modify", lambda own: {"room": str(own.ids["room"])}, device_id="waiting_device"
    ),
    "api:device-move": posts("rooms.modify", lambda own: {"room": str(own.ids["room"])}, device_id="device"),
    "api:device-unenroll": posts("rooms.unenroll", device_id="device"),
    "api:incidents": Route(
        {"GET": "tickets.view", "POST": "tickets.modify"},
        bodies={"POST": lambda own: {"rooms": [str(own.ids["room"])], "title": "Stains on the table"}},
    ),
    "api:search": Route({"GET": "rooms.view"}, query="?q=room"),
    "api:peripherals": reads("rooms.view"),
    "api:peripheral": reads("rooms.view", peripheral_id="peripheral"),
    "api:bulk-edits": Route(
        {"GET": "rooms.modify", "POST": "rooms.modify"},
        bodies={"POST": lambda own: {"rooms": [str(own.ids["room"])], "changes": {"capacity": 4}}},
    ),
    "api:bulk-edit": reads("rooms.modify", edit_id="edit"),
    "api:bulk-edit-rooms": reads("rooms.modify", edit_id="edit"),
    "api:bulk-edit-start": posts("rooms.modify", edit_id="edit"),
    "api:bulk-edit-undo": posts("rooms.modify", edit_id="edit"),
    "api:views": Route(
        {"GET": "rooms.view", "POST": "rooms.view"},
        bodies={"POST": lambda _: {"list": "rooms", "name": "Mine"}},
    ),
    "api:view": Route(
        {"GET": "rooms.view", "PATCH": "rooms.view", "DELETE": "rooms.view"}, {"view_id": "view"}
    ),
    "api:assets": Route({"GET": "rooms.view", "POST": "rooms.modify"}),
    "api:asset": Route(
        {"GET": "rooms.view", "PATCH": "rooms.modify", "DELETE": "rooms.modify"}, {"asset_id": "asset"}
    ),
    "api:exports": Route({"GET": "rooms.view", "POST": "rooms.view"}),
    "api:export": Route({"GET": "rooms.view", "DELETE": "rooms.view"}, {"export_id": "export_queued"}),
    "api:export-file": reads("rooms.view", export_id="export"),
    "api:imports": Route({"GET": "rooms.modify", "POST": "rooms.modify"}),
    "api:import": reads("rooms.modify", import_id="import"),
    "api:import-check": posts("rooms.modify", import_id="import"),
    "api:import-apply": posts("rooms.modify", import_id="import"),
    "api:import-cancel": posts("rooms.modify", import_id="import"),
    "api:import-problems": reads("rooms.modify", import_id="import"),
    "api:incident": reads("tickets.view", incident_id="incident"),
    "api:incident-timeline": reads("tickets.view", incident_id="incident"),
    "api:incident-comments": posts("tickets.modify", lambda _: {"text": "hello"}, incident_id="incident"),
    "api:incident-done": posts("tickets.modify", incident_id="incident"),
    "api:incident-reopen": posts("tickets.modify", incident_id="incident"),
    "api:incident-resolve": posts("tickets.modify", lambda _: {"cause": "other"}, incident_id="incident"),
    "api:incident-merge": posts(
        "tickets.modify", lambda own: {"into": str(own.ids["linked"])}, incident_id="incident"
    ),
    "api:incident-links": Route(
        {"GET": "tickets.view", "POST": "tickets.modify"},
        {"incident_id": "incident"},
        bodies={"POST": lambda own: {"other": str(own.ids["linked"])}},
    ),
    "api:incident-link": Route(
        {"DELETE": "tickets.modify"}, {"incident_id": "incident", "other_id": "linked"}
    ),
    "api:incident-impact": Route(
        {"PUT": "tickets.modify", "DELETE": "tickets.modify"},
        {"incident_id": "incident"},
        bodies={"PUT": lambda _: {"reason": "The board meets there"}},
    ),
    "api:incident-rooms": Route(
        {"PUT": "tickets.modify"},
        {"incident_id": "linked"},
        bodies={"PUT": lambda own: {"rooms": [str(own.ids["room"])]}},
    ),
    "api:incident-earlier": reads("tickets.view", incident_id="incident"),
    "api:incident-attachments": Route(
        {"GET": "tickets.view", "POST": "tickets.modify"}, {"incident_id": "incident"}
    ),
    "api:incident-attachment": Route(
        {"GET": "tickets.view", "DELETE": "tickets.modify"},
        {"incident_id": "incident", "attachment_id": "attachment"},
    ),
    "api:events": Route(
        {"GET": "tickets.view", "POST": "tickets.modify"},
        bodies={
            "POST": lambda own: {"room": str(own.ids["room"]), "kind": "poor_call", "source": "Call quality"}
        },
    ),
    "api:event": reads("tickets.view", event_id="event"),
    "api:event-flag": posts("tickets.modify", lambda own: {"events": [str(own.ids["event"])]}),
    "api:signal-settings": reads("settings.view"),
    "api:signal-setting": Route(
        {"GET": "settings.view", "PATCH": "settings.signals", "DELETE": "settings.signals"},
        values={"signal": "camera_room"},
        bodies={"PATCH": lambda _: {"watch_s": 47}},
    ),
    "api:suppressions": Route(
        {"GET": "rooms.view", "POST": "rooms.modify"},
        bodies={
            "POST": lambda own: {"group": str(own.ids["group"]), "until": _tomorrow(), "reason": "refit"}
        },
    ),
    "api:suppression": reads("rooms.view", suppression_id="suppression"),
    "api:suppression-end": posts("rooms.modify", suppression_id="suppression"),
    "api:maintenance-windows": Route(
        {"GET": "rooms.view", "POST": "rooms.modify"},
        bodies={
            "POST": lambda own: {
                "room": str(own.ids["room"]),
                "starts_at": datetime.now(UTC).isoformat(),
                "ends_at": _tomorrow(),
                "reason": "refit",
            }
        },
    ),
    "api:maintenance-window-end": posts("rooms.modify", window_id="window"),
    "api:room-merge": posts("rooms.modify", lambda own: {"into": str(own.ids["room"])}, room_id="room"),
    "api:site-merge": posts("rooms.modify", lambda own: {"into": str(own.ids["place"])}, site_id="place"),
    "api:room-groups": reads("groups.view", room_id="room"),
    "api:groups": Route({"GET": "groups.view", "POST": "groups.create"}),
    "api:group": Route(
        {"GET": "groups.view", "PATCH": "groups.modify", "DELETE": "groups.modify"}, {"group_id": "group"}
    ),
    "api:group-members": Route(
        {"GET": "groups.view", "POST": "groups.modify"},
        {"group_id": "group"},
        bodies={"POST": lambda own: {"rooms": [str(own.ids["room"])]}},
    ),
    "api:group-member": Route({"DELETE": "groups.modify"}, {"group_id": "group", "room_id": "room"}),
    "api:catalogue": Route({"GET": "inventory.view", "POST": "inventory.modify"}),
    "api:catalogue-row": Route(
        {"GET": "inventory.view", "PATCH": "inventory.modify", "DELETE": "inventory.modify"},
        {"row_id": "catalogue_row"},
    ),
    "api:regions": reads("rooms.view"),
    "api:sites": Route({"GET": "rooms.view", "POST": "rooms.modify"}),
    "api:site": Route(
        {"GET": "rooms.view", "PATCH": "rooms.modify", "DELETE": "rooms.modify"}, {"site_id": "place"}
    ),
    "api:releases": Route({"GET": "updates.view", "POST": "updates.create"}),
    "api:release": Route({"GET": "updates.view", "PATCH": "updates.create"}, {"release_id": "release"}),
    "api:release-file": Route({"PUT": "updates.create"}, {"release_id": "release"}),
    "api:release-deprecate": posts("updates.create", lambda _: {"reason": "bad"}, release_id="release"),
    "api:rings": Route({"GET": "updates.view", "POST": "updates.create"}),
    "api:ring": Route(
        {"GET": "updates.view", "PATCH": "updates.create", "DELETE": "updates.create"}, {"ring_id": "ring"}
    ),
    "api:ring-rooms": Route(
        {"GET": "updates.view", "POST": "updates.modify"},
        {"ring_id": "ring"},
        bodies={"POST": lambda own: {"rooms": [str(own.ids["room"])]}},
    ),
    "api:ring-room": Route({"DELETE": "updates.modify"}, {"ring_id": "ring", "room_id": "room"}),
    "api:ring-group": Route(
        {"PUT": "updates.modify", "DELETE": "updates.modify"}, {"ring_id": "ring", "group_id": "group"}
    ),
    "api:install-hours": Route({"GET": "updates.view", "PUT": "updates.create"}),
    "api:rollouts": Route({"GET": "updates.view", "POST": "updates.create"}),
    "api:rollout": reads("updates.view", rollout_id="rollout"),
    "api:rollout-devices": reads("updates.view", rollout_id="rollout"),
    "api:rollout-approve": posts("updates.create", rollout_id="rollout"),
    "api:rollout-start": posts("updates.create", rollout_id="rollout"),
    "api:rollout-pause": posts("updates.modify", lambda _: {"reason": "wait"}, rollout_id="rollout"),
    "api:rollout-resume": posts("updates.modify", rollout_id="rollout"),
    "api:rollout-cancel": posts("updates.modify", lambda _: {"reason": "wrong"}, rollout_id="rollout"),
    "api:rollout-retry": posts("updates.modify", rollout_id="rollout"),
    "api:rollout-roll-back": posts(
        "updates.modify",
        lambda own: {"reason": "echo", "release": str(own.ids["release"])},
        rollout_id="rollout",
    ),
    "api:rollout-ring-approve": posts("updates.create", rollout_id="rollout", ring_id="staging"),
    "api:rollout-device-retry": posts("updates.modify", rollout_id="rollout", target_id="target"),
    "api:rollout-device-force": posts(
        "updates.modify",
        lambda _: {"reason": "board", "when": "now"},
        rollout_id="rollout",
        target_id="target",
    ),
    "api:people": reads("roles.view"),
    "api:person": Route({"GET": "roles.view", "DELETE": "roles.modify"}, {"person_id": "person"}),
    "api:invitations": Route({"GET": "roles.view", "POST": "roles.modify"}),
    "api:invitation-revoke": posts("roles.modify", invitation_id="invitation"),
    "api:roles": Route({"GET": "roles.view", "POST": "roles.modify"}),
    "api:role": Route(
        {"GET": "roles.view", "PATCH": "roles.modify", "DELETE": "roles.modify"}, {"role_id": "role"}
    ),
    "api:assignments": Route({"GET": "roles.view", "POST": "roles.modify"}),
    "api:assignment": Route(
        {"GET": "roles.view", "PATCH": "roles.modify", "DELETE": "roles.modify"},
        {"assignment_id": "assignment"},
    ),
    "api:tokens": Route({"GET": "roles.view", "POST": "roles.modify"}),
    "api:token": Route({"GET": "roles.view", "DELETE": "roles.modify"}, {"token_id": "token"}),
    "api:audit": reads("audit.export"),
    "api:certificate-issuers": Route(
        {"GET": "keys.download", "POST": "keys.reset"},
        bodies={"POST": lambda own: {"label": f"{own.canary} CA", "fingerprint": "cd" * 32}},
    ),
    "api:certificate-issuer": Route({"DELETE": "keys.reset"}, {"issuer_id": "issuer"}),
    "api:enrollment-keys": Route({"GET": "keys.download", "POST": "keys.download"}),
    "api:enrollment-key": reads("keys.download", key_id="key"),
    "api:enrollment-key-revoke": posts("keys.reset", key_id="key"),
    "api:enrollment-key-reset": posts("keys.reset", key_id="key"),
}
# Addresses that see no customer's data, or know their caller in another way; each has tests of its own.
# What a partner's own people do at home.
PARTNERS = {
    "portal:partner-accept": form("roles.modify", grant_id="offer"),
    "portal:partner-decline": form("roles.modify", grant_id="offer"),
    "portal:partner-people": form("roles.modify", grant_id="grant_to_partner"),
}
ELSEWHERE = {
    "healthz": "process only",
    "readyz": "no customer's data",
    "security-txt": "whom to tell of a weakness",
    "metrics": "figures over all, behind a token",
    "api:schema": "describes the API",
    "api:docs": "describes the API",
    "account_login": "sign-in",
    "account_logout": "sign-out",
    "account_inactive": "sign-in",
    "account_reset_password": "sign-in",
    "account_reset_password_done": "sign-in",
    "account_reset_password_from_key": "sign-in",
    "account_reset_password_from_key_done": "sign-in",
    "sign-in-organisation": "sign-in",
    "sign-in-directory": "sign-in: the customer's id says only where Microsoft asks",
    "sign-in-directory-back": "sign-in: refuses whatever Microsoft did not answer",
    "sign-in-invitation": "sign-in: by the secret of an invitation's link",
    "sign-in-invitation-microsoft": "sign-in: by the secret of an invitation's link",
    "mfa_authenticate": "sign-in",
    "mfa_login_webauthn": "sign-in",
    "mfa_index": "a person's own account",
    "account_change_password": "a person's own account",
    "mfa_activate_totp": "a person's own account",
    "mfa_deactivate_totp": "a person's own account",
    "mfa_list_webauthn": "a person's own account",
    "mfa_add_webauthn": "a person's own account",
    "mfa_edit_webauthn": "a person's own account",
    "mfa_remove_webauthn": "a person's own account",
    "mfa_view_recovery_codes": "a person's own account",
    "mfa_generate_recovery_codes": "a person's own account",
    "account_reauthenticate": "a person's own account",
    "mfa_reauthenticate": "a person's own account",
    "mfa_reauthenticate_webauthn": "a person's own account",
    "account-microsoft": "a person's own account",
    "account-microsoft-connect": "a person's own account",
    "account-microsoft-disconnect": "a person's own account",
    "sessions-end": "a person's own account",
    "session-end": "a person's own account",
    "device-challenge": "devices: a nonce, no data",
    "device-enroll": "devices: by enrollment key",
    "device-token-rotate": "devices: by token",
    "device-token-recover": "devices: by signature",
    "device-inventory": "devices: by token",
    "device-events": "devices: by token",
    "device-heartbeats": "devices: by token",
    **dict.fromkeys(
        (
            "ddi-poll",
            "ddi-config-data",
            "ddi-deployment",
            "ddi-feedback",
            "ddi-cancel",
            "ddi-cancel-feedback",
            "ddi-installed",
            "ddi-installed-base",
            "ddi-artifacts",
            "ddi-artifact",
            "ddi-confirmations",
            "ddi-auto-confirm-on",
            "ddi-auto-confirm-off",
            "ddi-confirmation",
            "ddi-confirm",
        ),
        "devices: by token; tests/portal/test_ddi.py",
    ),
    "device-artifact": "devices: by signed link, for one file of one customer",
}
