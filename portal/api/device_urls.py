"""Addresses under /device/v1. None ends in a slash."""

from django.urls import URLPattern, path

from portal.api import artifacts, device_events, devices, heartbeat_view

urlpatterns: list[URLPattern] = [
    path("/enroll/challenge", devices.Challenge.as_view(), name="device-challenge"),
    path("/enroll", devices.Enroll.as_view(), name="device-enroll"),
    path("/token/rotate", devices.RotateToken.as_view(), name="device-token-rotate"),
    path("/token/recover", devices.RecoverToken.as_view(), name="device-token-recover"),
    path("/heartbeats", heartbeat_view.Heartbeats.as_view(), name="device-heartbeats"),
    path("/events", device_events.DeviceEvents.as_view(), name="device-events"),
    path("/inventory", devices.Inventory.as_view(), name="device-inventory"),
    path("/artifacts/<uuid:tenant_id>/<str:sha256>/<str:name>", artifacts.download, name="device-artifact"),
]
