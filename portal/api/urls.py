"""Addresses of the people's API, below /api/v1. None ends in a slash and none redirects to one."""

from django.urls import URLPattern, path

from portal.api import (
    assignments,
    audit,
    bulk_edits,
    catalogue,
    device_records,
    enrollment_keys,
    events,
    groups,
    incident_actions,
    incidents,
    people,
    reference,
    regions,
    releases,
    rings,
    rollouts,
    rooms,
    saved_views,
    search,
    signal_settings,
    sites,
    suppressions,
)

app_name = "api"
urlpatterns: list[URLPattern] = [
    path("/schema", reference.Schema.as_view(), name="schema"),
    path("/docs", reference.Docs.as_view(), name="docs"),
    path("/rooms", rooms.Rooms.as_view(), name="rooms"),
    path("/rooms/<uuid:room_id>", rooms.RoomDetail.as_view(), name="room"),
    path("/rooms/<uuid:room_id>/suppression", rooms.RoomSuppression.as_view(), name="room-suppression"),
    path("/rooms/<uuid:room_id>/merge", rooms.RoomMerge.as_view(), name="room-merge"),
    path("/rooms/<uuid:room_id>/groups", groups.RoomGroups.as_view(), name="room-groups"),
    path("/devices", device_records.Devices.as_view(), name="devices"),
    path("/devices/<uuid:device_id>", device_records.DeviceDetail.as_view(), name="device"),
    path("/devices/<uuid:device_id>/accept", device_records.DeviceAccept.as_view(), name="device-accept"),
    path("/devices/<uuid:device_id>/move", device_records.DeviceMove.as_view(), name="device-move"),
    path(
        "/devices/<uuid:device_id>/unenroll", device_records.DeviceUnenroll.as_view(), name="device-unenroll"
    ),
    path("/peripherals", device_records.Peripherals.as_view(), name="peripherals"),
    path("/peripherals/<uuid:peripheral_id>", device_records.PeripheralDetail.as_view(), name="peripheral"),
    path("/bulk-edits", bulk_edits.BulkEdits.as_view(), name="bulk-edits"),
    path("/bulk-edits/<uuid:edit_id>", bulk_edits.BulkEditDetail.as_view(), name="bulk-edit"),
    path("/bulk-edits/<uuid:edit_id>/rooms", bulk_edits.BulkEditRooms.as_view(), name="bulk-edit-rooms"),
    path("/bulk-edits/<uuid:edit_id>/start", bulk_edits.BulkEditStart.as_view(), name="bulk-edit-start"),
    path("/bulk-edits/<uuid:edit_id>/undo", bulk_edits.BulkEditUndo.as_view(), name="bulk-edit-undo"),
    path("/search", search.Search.as_view(), name="search"),
    path("/views", saved_views.SavedViews.as_view(), name="views"),
    path("/views/<uuid:view_id>", saved_views.SavedViewDetail.as_view(), name="view"),
    path("/incidents", incidents.Incidents.as_view(), name="incidents"),
    path("/incidents/<uuid:incident_id>", incidents.IncidentDetail.as_view(), name="incident"),
    path(
        "/incidents/<uuid:incident_id>/timeline",
        incidents.IncidentTimeline.as_view(),
        name="incident-timeline",
    ),
    path(
        "/incidents/<uuid:incident_id>/comments",
        incidents.IncidentComments.as_view(),
        name="incident-comments",
    ),
    path("/incidents/<uuid:incident_id>/done", incidents.IncidentDone.as_view(), name="incident-done"),
    path("/incidents/<uuid:incident_id>/reopen", incidents.IncidentReopen.as_view(), name="incident-reopen"),
    path(
        "/incidents/<uuid:incident_id>/resolve",
        incident_actions.IncidentResolve.as_view(),
        name="incident-resolve",
    ),
    path(
        "/incidents/<uuid:incident_id>/merge", incident_actions.IncidentMerge.as_view(), name="incident-merge"
    ),
    path(
        "/incidents/<uuid:incident_id>/links", incident_actions.IncidentLinks.as_view(), name="incident-links"
    ),
    path(
        "/incidents/<uuid:incident_id>/links/<uuid:other_id>",
        incident_actions.IncidentLink.as_view(),
        name="incident-link",
    ),
    path(
        "/incidents/<uuid:incident_id>/high-impact",
        incident_actions.IncidentImpact.as_view(),
        name="incident-impact",
    ),
    path(
        "/incidents/<uuid:incident_id>/rooms", incident_actions.IncidentRooms.as_view(), name="incident-rooms"
    ),
    path(
        "/incidents/<uuid:incident_id>/earlier",
        incident_actions.IncidentEarlier.as_view(),
        name="incident-earlier",
    ),
    path(
        "/incidents/<uuid:incident_id>/attachments",
        incident_actions.IncidentAttachments.as_view(),
        name="incident-attachments",
    ),
    path(
        "/incidents/<uuid:incident_id>/attachments/<uuid:attachment_id>",
        incident_actions.IncidentAttachmentDetail.as_view(),
        name="incident-attachment",
    ),
    path("/events", events.Events.as_view(), name="events"),
    path("/events/flag", events.EventFlag.as_view(), name="event-flag"),
    path("/events/<uuid:event_id>", events.EventDetail.as_view(), name="event"),
    path("/groups", groups.Groups.as_view(), name="groups"),
    path("/groups/<uuid:group_id>", groups.GroupDetail.as_view(), name="group"),
    path("/groups/<uuid:group_id>/members", groups.GroupMembers.as_view(), name="group-members"),
    path("/groups/<uuid:group_id>/members/<uuid:room_id>", groups.GroupMember.as_view(), name="group-member"),
    path("/catalogue", catalogue.Catalogue.as_view(), name="catalogue"),
    path("/catalogue/<uuid:row_id>", catalogue.CatalogueRow.as_view(), name="catalogue-row"),
    path("/regions", regions.Regions.as_view(), name="regions"),
    path("/sites", sites.Sites.as_view(), name="sites"),
    path("/sites/<uuid:site_id>", sites.Site.as_view(), name="site"),
    path("/signal-settings", signal_settings.SignalSettings.as_view(), name="signal-settings"),
    path(
        "/signal-settings/<slug:signal>", signal_settings.SignalSettingDetail.as_view(), name="signal-setting"
    ),
    path("/sites/<uuid:site_id>/merge", sites.SiteMerge.as_view(), name="site-merge"),
    path("/suppressions", suppressions.Suppressions.as_view(), name="suppressions"),
    path("/suppressions/<uuid:suppression_id>", suppressions.SuppressionDetail.as_view(), name="suppression"),
    path(
        "/suppressions/<uuid:suppression_id>/end",
        suppressions.SuppressionEnd.as_view(),
        name="suppression-end",
    ),
    path("/maintenance-windows", suppressions.MaintenanceWindows.as_view(), name="maintenance-windows"),
    path(
        "/maintenance-windows/<uuid:window_id>/end",
        suppressions.MaintenanceWindowEnd.as_view(),
        name="maintenance-window-end",
    ),
    path("/releases", releases.Releases.as_view(), name="releases"),
    path("/releases/<uuid:release_id>", releases.ReleaseDetail.as_view(), name="release"),
    path("/releases/<uuid:release_id>/file", releases.ReleaseFile.as_view(), name="release-file"),
    path(
        "/releases/<uuid:release_id>/deprecate",
        releases.ReleaseDeprecation.as_view(),
        name="release-deprecate",
    ),
    path("/rings", rings.Rings.as_view(), name="rings"),
    path("/rings/<uuid:ring_id>", rings.RingDetail.as_view(), name="ring"),
    path("/rings/<uuid:ring_id>/rooms", rings.RingRooms.as_view(), name="ring-rooms"),
    path("/rings/<uuid:ring_id>/rooms/<uuid:room_id>", rings.RingRoom.as_view(), name="ring-room"),
    path("/rings/<uuid:ring_id>/groups/<uuid:group_id>", rings.RingGroup.as_view(), name="ring-group"),
    path("/install-hours", rings.InstallHours.as_view(), name="install-hours"),
    path("/rollouts", rollouts.Rollouts.as_view(), name="rollouts"),
    path("/rollouts/<uuid:rollout_id>", rollouts.RolloutDetail.as_view(), name="rollout"),
    path("/rollouts/<uuid:rollout_id>/devices", rollouts.RolloutTargets.as_view(), name="rollout-devices"),
    path("/rollouts/<uuid:rollout_id>/approve", rollouts.RolloutApprove.as_view(), name="rollout-approve"),
    path("/rollouts/<uuid:rollout_id>/start", rollouts.RolloutStart.as_view(), name="rollout-start"),
    path("/rollouts/<uuid:rollout_id>/pause", rollouts.RolloutPause.as_view(), name="rollout-pause"),
    path("/rollouts/<uuid:rollout_id>/resume", rollouts.RolloutResume.as_view(), name="rollout-resume"),
    path("/rollouts/<uuid:rollout_id>/cancel", rollouts.RolloutCancel.as_view(), name="rollout-cancel"),
    path("/rollouts/<uuid:rollout_id>/retry", rollouts.RolloutRetry.as_view(), name="rollout-retry"),
    path(
        "/rollouts/<uuid:rollout_id>/roll-back", rollouts.RolloutRollBack.as_view(), name="rollout-roll-back"
    ),
    path(
        "/rollouts/<uuid:rollout_id>/rings/<uuid:ring_id>/approve",
        rollouts.RolloutRingApprove.as_view(),
        name="rollout-ring-approve",
    ),
    path(
        "/rollouts/<uuid:rollout_id>/devices/<uuid:target_id>/retry",
        rollouts.TargetRetry.as_view(),
        name="rollout-device-retry",
    ),
    path(
        "/rollouts/<uuid:rollout_id>/devices/<uuid:target_id>/force",
        rollouts.TargetForce.as_view(),
        name="rollout-device-force",
    ),
    path("/people", people.People.as_view(), name="people"),
    path("/people/<uuid:person_id>", people.PersonDetail.as_view(), name="person"),
    path("/invitations", people.Invitations.as_view(), name="invitations"),
    path(
        "/invitations/<uuid:invitation_id>/revoke",
        people.InvitationRevoke.as_view(),
        name="invitation-revoke",
    ),
    path("/roles", people.Roles.as_view(), name="roles"),
    path("/roles/<uuid:role_id>", people.RoleDetail.as_view(), name="role"),
    path("/assignments", assignments.Assignments.as_view(), name="assignments"),
    path("/assignments/<uuid:assignment_id>", assignments.AssignmentDetail.as_view(), name="assignment"),
    path("/tokens", people.Tokens.as_view(), name="tokens"),
    path("/tokens/<uuid:token_id>", people.TokenDetail.as_view(), name="token"),
    path("/audit", audit.Audit.as_view(), name="audit"),
    path("/enrollment-keys", enrollment_keys.EnrollmentKeys.as_view(), name="enrollment-keys"),
    path(
        "/enrollment-keys/<uuid:key_id>", enrollment_keys.EnrollmentKeyDetail.as_view(), name="enrollment-key"
    ),
    path(
        "/enrollment-keys/<uuid:key_id>/revoke",
        enrollment_keys.EnrollmentKeyRevoke.as_view(),
        name="enrollment-key-revoke",
    ),
    path(
        "/enrollment-keys/<uuid:key_id>/reset",
        enrollment_keys.EnrollmentKeyReset.as_view(),
        name="enrollment-key-reset",
    ),
]
