from typing import Any, ClassVar

from django.apps import AppConfig, apps
from django.db import connections
from django.db.models.signals import post_migrate


class PortalConfig(AppConfig):
    name = "portal"
    default_auto_field = "django.db.models.BigAutoField"
    third_party_tables: ClassVar[dict[str, str]] = {
        "django_migrations": "local",
        "django_session": "local",
        "django_content_type": "global",
        "auth_permission": "global",
        "auth_group": "global",
        "auth_group_permissions": "global",
        "account_emailaddress": "global",
        "account_emailconfirmation": "global",
        "mfa_authenticator": "global",  # of a user, who may belong to several tenants
        "socialaccount_socialapp": "global",  # read before the tenant is known; its secret is encrypted
        "socialaccount_socialaccount": "global",
        "socialaccount_socialtoken": "global",  # stays empty
        "usersessions_usersession": "local",
    }

    def ready(self) -> None:
        from foundation.tenant_tables.classes import after_migrations  # models are ready only now

        post_migrate.connect(after_migrations)
        post_migrate.connect(_load_catalogue)
        from allauth.mfa.models import Authenticator
        from allauth.socialaccount.models import SocialApp

        from foundation.rotation import holds_secrets
        from portal.sign_in import events, proofs  # likewise

        holds_secrets(Authenticator, "data")
        holds_secrets(SocialApp, "settings")
        proofs.connect()
        events.connect()


def _load_catalogue(sender: Any, using: str, **kwargs: Any) -> None:
    """After migrations the table of makes and models holds what this version's data files say."""
    from fleet import catalog_files  # models are ready only now
    from fleet.models import CatalogEntry

    if using != "owner" or sender is not apps.get_app_config("fleet"):
        return
    if CatalogEntry._meta.db_table in connections[using].introspection.table_names():
        catalog_files.load_built_in(using=using)
