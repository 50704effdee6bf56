from django.apps import AppConfig
from django.db.backends.signals import connection_created


class FoundationConfig(AppConfig):
    name = "foundation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from foundation.backend.roles import refuse_privileged_role

        connection_created.connect(refuse_privileged_role)
        from foundation.models import IdempotencyRecord, OutboxEntry  # models are ready only now
        from foundation.rotation import holds_secrets

        holds_secrets(OutboxEntry, "payload")
        holds_secrets(IdempotencyRecord, "body")
