from django.urls import URLPattern, URLResolver, include, path

from portal.web import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path(".well-known/security.txt", health.security_txt, name="security-txt"),
    path("metrics", health.metrics, name="metrics"),
    path("", include("portal.web.urls")),
    path("", include("portal.sign_in_urls")),
    path("api/v1", include("portal.api.urls")),
    path("device/v1", include("portal.api.device_urls")),
    path("<str:tenant_name>/controller/v1/<str:controller_id>", include("portal.api.ddi_urls")),
]
handler400 = "portal.errors.bad_request"
handler403 = "portal.errors.permission_denied"
handler404 = "portal.errors.not_found"
handler500 = "portal.errors.server_error"
