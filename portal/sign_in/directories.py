"""Customers' directories (Microsoft Entra ID): which there are, and who of them may come in.

Each customer has at most one, kept as an app of allauth whose id names the customer. It is read before the tenant is
known, so it lies in a global table; its client secret is encrypted there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from allauth.socialaccount.models import SocialApp
from django.conf import settings
from django.db import transaction

from foundation import secrets
from foundation.errors import NotValid
from tenancy import audit
from tenancy.models import Person, Role, Tenant, User

PROVIDER = "openid_connect"
PREFIX = "entra-"
SEALED_AS = "socialaccount_socialapp.secret"


@dataclass(frozen=True)
class Directory:
    """How a customer's people sign in with Microsoft.

    `groups`: object ids of groups in the directory, each with the key of the role its members get.
    `domains`: of e-mail addresses, in lower case; they lead people from the sign-in page to this directory.
    """

    tenant_id: UUID
    directory_id: UUID
    client_id: UUID
    domains: list[str] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    proves_factor: bool = False  # the customer vouches that the directory always asks for a second factor

    @property
    def server_url(self) -> str:
        return f"{settings.ENTRA_URL}/{self.directory_id}/v2.0"


def provider_id_of(tenant_id: UUID) -> str:
    return f"{PREFIX}{tenant_id}"


def tenant_of(provider_id: str) -> UUID:
    return UUID(provider_id.removeprefix(PREFIX))


def app_of(tenant_id: UUID) -> SocialApp | None:
    """With its secret in clear, never to be saved. Raises SecretUnreadable."""
    app = SocialApp.objects.filter(provider=PROVIDER, provider_id=provider_id_of(tenant_id)).first()
    if app is not None:
        app.secret = secrets.unseal(
            app.settings["sealed_secret"].encode(), tenant_id=tenant_id, field=SEALED_AS
        )
    return app


def of(tenant_id: UUID) -> Directory | None:
    app = SocialApp.objects.filter(provider=PROVIDER, provider_id=provider_id_of(tenant_id)).first()
    return None if app is None else read(app)


def among(tenant_ids: Iterable[UUID]) -> set[UUID]:
    """Which of the customers have a directory."""
    by_provider = {provider_id_of(each): each for each in tenant_ids}
    rows = SocialApp.objects.filter(provider=PROVIDER, provider_id__in=list(by_provider))
    return {by_provider[each] for each in rows.values_list("provider_id", flat=True)}


def read(app: SocialApp) -> Directory:
    kept = app.settings
    return Directory(
        tenant_of(app.provider_id),
        UUID(kept["directory_id"]),
        UUID(app.client_id),
        kept["domains"],
        kept["groups"],
        kept["proves_factor"],
    )


def for_address(email: str) -> Directory | None:
    """The directory that looks after the domain of an e-mail address; the first that named it."""
    domain = email.strip().lower().rpartition("@")[2]
    if not domain:
        return None
    apps = SocialApp.objects.filter(provider=PROVIDER, settings__domains__contains=[domain])
    app = apps.order_by("id").first()
    return None if app is None else read(app)


@transaction.atomic
def configure(wanted: Directory, *, secret: str, at: datetime) -> None:
    """Set up or change a customer's directory, the customer entered. An empty `secret` keeps the one there is.

    Raises NotValid for a domain nobody of the customer has, one that is not the customer's alone, a role that does not
    exist, and a missing secret.
    """
    _check(wanted)
    before = of(wanted.tenant_id)
    app = SocialApp.objects.filter(provider_id=provider_id_of(wanted.tenant_id)).first() or SocialApp(
        provider=PROVIDER, provider_id=provider_id_of(wanted.tenant_id), settings={}
    )
    sealed = app.settings.get("sealed_secret", "")
    if secret:
        sealed = secrets.seal(secret, tenant_id=wanted.tenant_id, field=SEALED_AS).decode()
    if not sealed:
        raise NotValid("Enter the client secret.", field="secret")
    app.name, app.client_id, app.secret = "Microsoft Entra ID", str(wanted.client_id), ""
    app.settings = {
        "server_url": wanted.server_url,
        "uid_field": "oid",
        "fetch_userinfo": False,
        "oauth_pkce_enabled": True,
        "directory_id": str(wanted.directory_id),
        "domains": wanted.domains,
        "groups": wanted.groups,
        "proves_factor": wanted.proves_factor,
        "sealed_secret": sealed,
    }
    app.save()
    after = {**_shown(wanted), **({"secret": True} if secret else {})}
    audit.record(
        "settings.update",
        tenant_id=wanted.tenant_id,
        at=at,
        name="Sign-in with Microsoft",
        before=_shown(before) if before else None,
        after=after,
    )


def remove(tenant_id: UUID, *, at: datetime) -> None:
    """People stay; those without a password need a new one by mail. Repeating it changes nothing."""
    before = of(tenant_id)
    if before is not None:
        SocialApp.objects.filter(provider_id=provider_id_of(tenant_id)).delete()
        audit.record(
            "settings.update",
            tenant_id=tenant_id,
            at=at,
            name="Sign-in with Microsoft",
            before=_shown(before),
            after={},
        )


def _shown(directory: Directory) -> dict[str, Any]:
    return {name: value for name, value in asdict(directory).items() if name != "tenant_id"}


def _check(wanted: Directory) -> None:
    here = Person.objects.for_tenant(wanted.tenant_id).filter(ended_at=None).values_list("user_id", flat=True)
    at_home = User.objects.filter(id__in=list(here), home_id=wanted.tenant_id)  # not operators and partners
    own = {email.rpartition("@")[2] for email in at_home.values_list("email", flat=True)}
    for domain in wanted.domains:
        if domain not in own:
            raise NotValid(f"Nobody here has an address at {domain}.", field="domains")
        if _is_shared(domain, wanted.tenant_id):
            raise NotValid(f"{domain} is not your organisation's alone.", field="domains")
    roles = {role.key: role for role in Role.objects.for_tenant(wanted.tenant_id)}
    for key in wanted.groups.values():
        if key not in roles:
            raise NotValid(f"There is no role {key}.", field="groups")


def _is_shared(domain: str, tenant_id: UUID) -> bool:
    """Do others come from there too? Their people would be led to this customer's directory."""
    other = for_address(f"@{domain}")
    if other is not None and other.tenant_id != tenant_id:
        return True
    if Tenant.objects.filter(domain=domain).exclude(id=tenant_id).exists():
        return True
    return User.objects.filter(email__endswith=f"@{domain}").exclude(home_id=tenant_id).exists()


def customer_of(tenant_id: UUID) -> Tenant | None:
    return Tenant.objects.filter(id=tenant_id, kind=Tenant.Kind.CUSTOMER).first()
