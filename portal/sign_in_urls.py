"""What we use of allauth, by the names it expects: no sign-up, no page for addresses."""

from allauth.account import views
from django.urls import URLPattern, path, re_path

urlpatterns: list[URLPattern] = [
    path("sign-in", views.login, name="account_login"),
    path("sign-out", views.logout, name="account_logout"),
    path("sign-in/inactive", views.account_inactive, name="account_inactive"),
    path("sign-in/forgotten", views.password_reset, name="account_reset_password"),
    path("sign-in/forgotten/sent", views.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^sign-in/new-password/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "sign-in/new-password/done",
        views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
]
