"""Sign-in with a customer's directory, against a stand-in over TLS: who comes in, and every reason to be refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
import requests
from allauth.socialaccount.models import SocialAccount, SocialApp
from django.db.models import CharField, Value
from django.db.models.functions import Cast, Concat
from django.test import Client

from foundation.context import tenant
from foundation.errors import NotValid
from portal.sign_in import directories, proofs
from portal.sign_in.entra import callback_url
from tenancy import custom_roles, people, tenants
from tenancy.models import AuditEvent, Membership, Person, Role, RoleAssignment, Tenant, User
from tests.factories.mail import link_in_mail
from tests.factories.sign_in import add_app, browser, sign_in, totp
from tests.factories.tenancy import make_customer, make_person, make_user
from tests.standins import entra as standin
from tests.standins.entra import CLOCKS, WRONG, Entra

FIELD_GROUP, ADMIN_GROUP = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
UNTRUSTED = sorted(
    {*WRONG, *CLOCKS, "not signed", "signed with a password", "signed by another"} - {"clock a little ahead"}
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with standin.running(tmp_path_factory.mktemp("entra")) as running:
        yield running


@pytest.fixture
def _alone(db: None) -> None:
    """Whoever tests before this one committed has another domain: it is one organisation's alone here."""
    own = Concat(Cast("id", CharField()), Value("@earlier.example"))
    User.objects.filter(email__endswith="@example.com").update(email=own)


@pytest.fixture
def entra(server: Entra, settings: Any, _alone: None) -> Entra:
    settings.ENTRA_URL, settings.GUARDED_CLIENT_CA = server.url, str(server.authority)
    server.fault, server.redirects = "", set()
    server.asked.clear()
    server.is_person(email="kari.nordmann@halden.example", name="Kari Nordmann")
    return server


@pytest.fixture
def halden(entra: Entra, customer: Tenant, at: Any) -> Tenant:
    """A customer whose directory is connected; its field staff come in by their group."""
    make_person(customer, "pro_manager", at=at)
    connect(entra, customer, at=at, groups={FIELD_GROUP: "site_technician", ADMIN_GROUP: "pro_manager"})
    return customer


def connect(entra: Entra, customer: Tenant, *, at: Any, secret: str = "", **more: Any) -> None:
    entra.redirects.add(callback_url(customer.id))
    directory = directories.Directory(
        customer.id, UUID(entra.directory), UUID(entra.client), **{"domains": ["example.com"], **more}
    )
    with tenant(customer.id):
        directories.configure(directory, secret=secret or entra.secret, at=at)


def to_microsoft(client: Client, entra: Entra, customer: Tenant, query: str = "") -> str:
    """The address Microsoft sends the browser back to."""
    answer = client.get(f"/sign-in/organisation/{customer.id}{query}")
    assert answer.status_code == 302, answer.content.decode()
    assert answer["Location"].startswith(f"{entra.url}/{entra.directory}/")
    back = requests.get(answer["Location"], verify=str(entra.authority), allow_redirects=False, timeout=10)
    parts = urlsplit(back.headers["Location"])
    return f"{parts.path}?{parts.query}"


def come_in(client: Client, entra: Entra, customer: Tenant, query: str = "") -> Any:
    return client.get(to_microsoft(client, entra, customer, query))


def connected(entra: Entra, customer: Tenant, role: str, *, at: Any) -> User:
    """A person of the customer whose account in the directory is connected already."""
    user = make_person(customer, role, at=at).user
    SocialAccount.objects.create(
        user=user, provider=directories.provider_id_of(customer.id), uid=entra.person["oid"]
    )
    return user


def refusals(customer: Tenant) -> list[str]:
    with tenant(customer.id):
        found = AuditEvent.objects.for_tenant(customer).filter(action="sign_in.failed").order_by("id")
        return [event.after["why"] for event in found]


# Coming in -----------------------------------------------------------------------------------------------------


def test_a_connected_person_comes_in_and_where_they_wanted(entra, halden, at):
    user = connected(entra, halden, "site_technician", at=at)
    client = browser()
    answer = come_in(client, entra, halden, "?next=/incidents")
    assert (answer.status_code, answer["Location"]) == (302, "/incidents")
    page = client.get("/rooms")
    assert page.status_code == 200
    assert page.context["principal"].user == user


def test_pkce_state_and_nonce_are_sent_each_time_anew(entra, halden, at):
    connected(entra, halden, "site_technician", at=at)
    for _ in range(2):
        come_in(browser(), entra, halden)
    first, second = entra.asked
    for name in ("nonce", "state", "code_challenge"):
        assert len(first[name]) >= 16
        assert first[name] != second[name]


def test_a_member_of_a_mapped_group_becomes_a_person_with_its_role(entra, halden):
    oid = entra.is_person(email="Ola.Hansen@halden.example", name="Ola Hansen", groups=["other", FIELD_GROUP])
    client = browser()
    assert come_in(client, entra, halden)["Location"] == "/"
    user = User.objects.get(email="ola.hansen@halden.example")
    assert (user.name, user.home, user.has_usable_password()) == ("Ola Hansen", halden, False)
    assert SocialAccount.objects.get(user=user).uid == oid
    assert client.get("/rooms").context["principal"].permissions >= {"rooms.view"}
    assert come_in(browser(), entra, halden).status_code == 302
    assert User.objects.filter(email="ola.hansen@halden.example").count() == 1


def test_whoever_left_the_group_is_out_and_who_changed_it_has_its_role(entra, halden, at):
    entra.is_person(email="ola.hansen@halden.example", name="Ola Hansen", groups=[FIELD_GROUP])
    come_in(browser(), entra, halden)
    user = User.objects.get(email="ola.hansen@halden.example")

    def roles_now() -> list[str]:
        with tenant(halden.id):
            rows = RoleAssignment.objects.for_tenant(halden).filter(person__user=user)
            return list(rows.values_list("role__key", flat=True))

    assert roles_now() == ["site_technician"]
    entra.person["groups"] = [ADMIN_GROUP]
    assert come_in(browser(), entra, halden).status_code == 302
    assert roles_now() == ["pro_manager"]
    for groups in (["other"], []):
        entra.person["groups"] = groups
        client = browser()
        assert come_in(client, entra, halden).status_code == 403
        assert client.get("/rooms").status_code == 302
        assert roles_now() == [], "also for tokens"
    assert refusals(halden) == ["not in a group any more"] * 2
    entra.person["groups"] = [FIELD_GROUP]
    assert come_in(browser(), entra, halden).status_code == 302
    assert roles_now() == ["site_technician"]


def test_whoever_was_invited_stays_whatever_the_groups(entra, halden, at):
    connected(entra, halden, "site_technician", at=at)
    entra.person["groups"] = ["other"]
    assert come_in(browser(), entra, halden).status_code == 302


def test_a_person_is_known_by_the_directorys_id_whatever_the_address(entra, halden, at):
    user = connected(entra, halden, "site_technician", at=at)
    entra.person |= {"email": "renamed@halden.example", "preferred_username": "renamed@halden.example"}
    client = browser()
    come_in(client, entra, halden)
    assert client.get("/rooms").context["principal"].user == user


def test_a_clock_a_little_off_is_forgiven(entra, halden, at):
    connected(entra, halden, "site_technician", at=at)
    entra.fault = "clock a little ahead"
    assert come_in(browser(), entra, halden).status_code == 302


# Two accounts of one person ------------------------------------------------------------------------------------


def to_connect(client: Client, entra: Entra, customer: Tenant) -> str:
    """The address Microsoft sends the browser back to, which left from the person's account."""
    page = client.get(f"/account/microsoft/{customer.id}")
    assert page.status_code == 200, page
    answer = client.get(f"/account/microsoft/{customer.id}/connect")
    assert answer["Location"].startswith(f"{entra.url}/{entra.directory}/")
    back = requests.get(answer["Location"], verify=str(entra.authority), allow_redirects=False, timeout=10)
    parts = urlsplit(back.headers["Location"])
    return f"{parts.path}?{parts.query}"


def test_a_person_with_a_password_connects_microsoft_and_comes_by_either(entra, halden, at):
    user = make_person(halden, "site_technician", at=at).user
    assert come_in(browser(), entra, halden).status_code == 403
    client = sign_in(user)
    assert "Not connected" in client.get("/account").content.decode()
    answer = client.get(to_connect(client, entra, halden))
    assert (answer.status_code, answer["Location"]) == (302, "/account")
    assert "without a password" in client.get("/account").content.decode()
    by_microsoft = browser()
    assert come_in(by_microsoft, entra, halden).status_code == 302
    assert by_microsoft.get("/rooms").context["principal"].user == user
    assert client.post(f"/account/microsoft/{halden.id}/disconnect").status_code == 302
    assert by_microsoft.get("/rooms").status_code == 302, "its sessions end with it"
    assert come_in(browser(), entra, halden).status_code == 403
    with tenant(halden.id):
        found = AuditEvent.objects.for_tenant(halden).filter(action="person.directory")
        assert sorted(event.after["how"] for event in found) == ["connected", "disconnected"]


def test_connecting_is_asked_of_whoever_proved_it_lately_and_not_by_the_directory(entra, halden, at):
    user = make_person(halden, "site_technician", at=at).user
    client = sign_in(user)
    session = client.session
    session[proofs.PROVED] -= 600
    session.save()
    for address in ("", "/connect"):
        answer = client.get(f"/account/microsoft/{halden.id}{address}")
        assert answer["Location"].startswith("/account/confirm?next=")
    connected(entra, halden, "site_technician", at=at)
    theirs = browser()
    come_in(theirs, entra, halden)
    for address in ("", "/connect"):
        assert theirs.get(f"/account/microsoft/{halden.id}{address}").status_code == 403
    assert theirs.post(f"/account/microsoft/{halden.id}/disconnect").status_code == 403


def test_an_answer_connects_only_the_person_who_asked(entra, halden, at):
    asked = sign_in(make_person(halden, "site_technician", at=at).user)
    back = to_connect(asked, entra, halden)
    asked.post("/sign-out")
    assert asked.get(back).status_code == 403
    sign_in(make_person(halden, "pro_manager", at=at).user, asked)
    assert asked.get(back).status_code == 403
    assert not SocialAccount.objects.exists()


def test_one_account_of_the_directory_is_one_person(entra, halden, at):
    connected(entra, halden, "site_technician", at=at)
    client = sign_in(make_person(halden, "site_lead", at=at).user)
    answer = client.get(to_connect(client, entra, halden))
    assert answer.status_code == 403
    assert "connected to somebody else" in answer.content.decode()
    assert refusals(halden) == ["not connected"]
    assert SocialAccount.objects.count() == 1
    entra.is_person(email="second@halden.example", name="Second")
    assert client.get(to_connect(client, entra, halden)).status_code == 302
    entra.is_person(email="third@halden.example", name="Third")
    answer = client.get(f"/account/microsoft/{halden.id}/connect")
    back = requests.get(answer["Location"], verify=str(entra.authority), allow_redirects=False, timeout=10)
    assert "Disconnect it first" in client.get(back.headers["Location"]).content.decode()


def test_only_the_directory_of_an_own_organisation_is_offered(entra, halden, at):
    stranger = sign_in(make_person(make_customer(at=at), "pro_manager", at=at).user)
    assert "Microsoft account of" not in stranger.get("/account").content.decode()
    assert stranger.get(f"/account/microsoft/{halden.id}").status_code == 404
    answer = stranger.get(f"/account/microsoft/{halden.id}/connect")
    back = requests.get(answer["Location"], verify=str(entra.authority), allow_redirects=False, timeout=10)
    assert stranger.get(back.headers["Location"]).status_code == 403
    assert not SocialAccount.objects.exists()


def test_the_only_way_in_is_not_cut_off(entra, halden, at):
    entra.is_person(email="ola.hansen@halden.example", name="Ola Hansen", groups=[FIELD_GROUP])
    come_in(browser(), entra, halden)
    user = User.objects.get(email="ola.hansen@halden.example")
    client = browser()
    client.force_login(user)
    session = client.session
    session[proofs.PROVED] = proofs.now_s()
    session.save()
    answer = client.post(f"/account/microsoft/{halden.id}/disconnect", follow=True)
    assert "Set a password first" in answer.content.decode(), answer.redirect_chain
    assert SocialAccount.objects.filter(user=user).exists()


def test_somebody_who_left_comes_back_by_an_invitation_and_not_by_a_group(entra, halden, at):
    entra.is_person(email="ola.hansen@halden.example", name="Ola Hansen", groups=[FIELD_GROUP])
    come_in(browser(), entra, halden)
    user = User.objects.get(email="ola.hansen@halden.example")
    with tenant(halden.id):
        person = Person.objects.for_tenant(halden).get(user=user)
        people.end(person.id, at=at)
    assert come_in(browser(), entra, halden).status_code == 403
    assert refusals(halden) == ["person ended"]
    manager = sign_in(make_person(halden, "pro_manager", at=at).user)
    with tenant(halden.id):
        role = Role.objects.for_tenant(halden).get(key="site_lead")
    sent = {"email": user.email, "role": role.id, "where": "all"}
    assert manager.post("/settings/people/invite", sent).status_code == 302
    link = link_in_mail(halden)
    client = browser()
    assert "Go on with Microsoft" in client.get(link).content.decode()
    assert client.post(f"{link}/microsoft").status_code == 200
    assert come_in(client, entra, halden).status_code == 302
    assert client.get("/rooms").context["principal"].user == user
    assert come_in(browser(), entra, halden).status_code == 302, "and from then on"


# Refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", UNTRUSTED)
def test_a_token_that_is_not_for_this_sign_in_opens_nothing(entra, halden, at, fault):
    connected(entra, halden, "site_technician", at=at)
    entra.fault = fault
    client = browser()
    answer = come_in(client, entra, halden)
    assert answer.status_code == 403
    assert "could not be trusted" in answer.content.decode()
    assert client.get("/rooms").status_code == 302
    assert len(refusals(halden)) == 1


def test_an_unknown_person_is_refused_without_a_hint(entra, halden):
    client = browser()
    answer = come_in(client, entra, halden)
    assert answer.status_code == 403
    assert "not known here" in answer.content.decode()
    assert refusals(halden) == ["not invited"]
    assert not SocialAccount.objects.exists()


def test_nobody_is_matched_by_address(entra, halden, at):
    user = make_person(halden, "site_technician", at=at).user
    for groups in ([], [FIELD_GROUP]):
        entra.is_person(email=user.email, name=user.name, email_verified=True, groups=groups)
        client = browser()
        assert come_in(client, entra, halden).status_code == 403
        assert client.get("/rooms").status_code == 302
    assert refusals(halden) == ["not invited", "address of another account"]


def test_an_ended_person_is_refused(entra, halden, at):
    user = connected(entra, halden, "site_technician", at=at)
    with tenant(halden.id):
        Person.objects.for_tenant(halden).filter(user=user).update(ended_at=at)
    assert come_in(browser(), entra, halden).status_code == 403


def test_a_disabled_person_is_refused(entra, halden, at):
    user = connected(entra, halden, "site_technician", at=at)
    User.objects.filter(id=user.id).update(is_active=False)
    client = browser()
    assert come_in(client, entra, halden)["Location"] == "/sign-in/inactive"
    assert client.get("/rooms").status_code == 302


@pytest.mark.parametrize("fault", ["down", "keys elsewhere"])
def test_a_directory_that_is_away_is_said_and_a_password_still_works(entra, halden, at, fault):
    user = make_person(halden, "site_technician", at=at).user
    entra.fault = fault
    answer = browser().get(f"/sign-in/organisation/{halden.id}")
    assert answer.status_code == 503
    assert "cannot be reached" in answer.content.decode()
    assert sign_in(user).get("/rooms").status_code == 200


def test_a_directory_that_fails_half_way_is_said(entra, halden, at):
    connected(entra, halden, "site_technician", at=at)
    client = browser()
    back = to_microsoft(client, entra, halden)
    entra.fault = "token away"
    assert client.get(back).status_code == 403
    assert client.get("/rooms").status_code == 302


def test_a_cancelled_sign_in_says_so(entra, halden):
    entra.fault = "cancelled"
    answer = come_in(browser(), entra, halden)
    assert "You cancelled the sign-in." in answer.content.decode()


def test_an_answer_without_a_question_opens_nothing(entra, halden, at):
    connected(entra, halden, "site_technician", at=at)
    asked = browser()
    back = to_microsoft(asked, entra, halden)
    assert browser().get(back).status_code == 403  # another browser: a forged answer
    assert asked.get(back).status_code == 302
    assert asked.get(back).status_code == 403  # a second time
    entra.fault = "wrong state"
    assert come_in(browser(), entra, halden).status_code == 403


def test_a_code_of_one_customer_opens_no_other(entra, halden, at):
    connected(entra, halden, "site_technician", at=at)
    other = make_customer(at=at)
    make_person(other, at=at)
    connect(entra, other, at=at, domains=[])
    client = browser()
    back = to_microsoft(client, entra, halden)
    assert client.get(back.replace(str(halden.id), str(other.id))).status_code == 403


def test_a_customer_without_a_directory_has_no_such_page(customer, db):
    assert browser().get(f"/sign-in/organisation/{customer.id}").status_code == 404
    assert browser().get(f"/sign-in/organisation/{customer.id}/back?code=x&state=y").status_code == 404


# What a directory may vouch for --------------------------------------------------------------------------------


def test_a_directory_speaks_for_its_own_customer_alone(entra, halden, at):
    user = connected(entra, halden, "site_technician", at=at)
    other = make_customer("Meridian Health", at=at)
    tenants.add_person(user, to=other, role="pro_manager", at=at)
    assert {each.name for each in sign_in(user).get("/").context["organisations"]} == {
        halden.name,
        other.name,
    }
    client = browser()
    come_in(client, entra, halden)
    assert [each.name for each in client.get("/").context["organisations"]] == [halden.name]
    client.post("/organisation", {"organisation": str(other.id)})
    assert client.get("/").context["principal"].tenant == halden


def test_a_directory_cannot_set_a_password_or_a_factor(entra, halden, at):
    connected(entra, halden, "site_technician", at=at)
    client = browser()
    come_in(client, entra, halden)
    assert client.get("/account").status_code == 200
    for address in ("/account/password", "/account/app", "/account/passkeys/add", "/account/recovery-codes"):
        assert client.get(address).status_code == 403, address


def test_an_agent_of_the_operator_does_not_reach_the_console_by_a_customers_directory(
    entra, halden, operator, at
):
    agent = make_user(operator, at=at)
    tenants.add_person(agent, to=operator, role="soc_lead", at=at)
    tenants.add_person(agent, to=halden, role="", kind=Membership.Kind.OPERATOR, at=at)
    SocialAccount.objects.create(
        user=agent, provider=directories.provider_id_of(halden.id), uid=entra.person["oid"]
    )
    client = browser()
    come_in(client, entra, halden)
    assert client.get("/operations").status_code == 403


# Second factor and step-up -------------------------------------------------------------------------------------


def test_the_directorys_second_factor_counts(entra, halden, at, settings):
    settings.DEMO_WITHOUT_MFA = False
    connected(entra, halden, "pro_manager", at=at)
    client = browser()
    come_in(client, entra, halden)
    assert client.get("/rooms")["Location"].startswith("/account")
    entra.person["amr"] = ["pwd", "mfa"]
    client = browser()
    come_in(client, entra, halden)
    assert client.get("/rooms").status_code == 200


def test_a_directory_known_to_ask_always_is_believed(entra, halden, at, settings):
    settings.DEMO_WITHOUT_MFA = False
    connected(entra, halden, "pro_manager", at=at)
    connect(entra, halden, at=at, proves_factor=True)
    client = browser()
    come_in(client, entra, halden)
    assert client.get("/rooms").status_code == 200


def test_an_own_factor_is_asked_for_after_the_directory_too(
    entra, halden, at, django_capture_on_commit_callbacks
):
    user = connected(entra, halden, "site_technician", at=at)
    with django_capture_on_commit_callbacks(execute=True):
        secret, _ = add_app(sign_in(user))
    client = browser()
    assert come_in(client, entra, halden)["Location"] == "/sign-in/code"
    assert client.get("/rooms").status_code == 302
    client.post("/sign-in/code", {"code": totp(secret, steps=1)})
    assert client.get("/rooms").status_code == 200
    assert client.get("/account/password").status_code == 403  # still the directory's word


def test_step_up_goes_to_microsoft_again(entra, halden, at):
    connected(entra, halden, "pro_manager", at=at)
    client = browser()
    come_in(client, entra, halden)
    session = client.session
    session[proofs.PROVED] -= proofs.FRESH_S + 1
    session.save()
    asked = client.get("/enrollment/new")["Location"]
    assert asked == f"/sign-in/organisation/{halden.id}?next=%2Fenrollment%2Fnew&again=1"
    answer = come_in(client, entra, halden, "?" + urlsplit(asked).query)
    assert (entra.asked[-1]["prompt"], entra.asked[-1]["max_age"]) == ("login", "0")
    assert answer["Location"] == "/enrollment/new"
    assert client.get("/enrollment/new").status_code == 200


@pytest.mark.parametrize("fault", ["", "still signed in", "says not when"])
def test_being_known_to_microsoft_still_is_no_proof(entra, halden, at, fault):
    """Neither another sign-in without a question, nor a step-up at which Microsoft asked for nothing."""
    connected(entra, halden, "pro_manager", at=at)
    client = browser()
    come_in(client, entra, halden)
    entra.signed_in_at -= proofs.UNFINISHED_S + 60
    come_in(client, entra, halden, "?next=/enrollment/new")
    assert client.get("/rooms").status_code == 200
    assert client.get("/enrollment/new").status_code == 302
    entra.fault = fault
    answer = come_in(client, entra, halden, "?next=/enrollment/new&again=1")
    if fault:
        assert answer.status_code == 403
        assert "did not say that you signed in just now" in answer.content.decode()
        assert client.get("/rooms").status_code == 200, "the session goes on as it was"
    assert client.get("/enrollment/new").status_code == (302 if fault else 200)


# Connecting a directory ----------------------------------------------------------------------------------------


def test_the_client_secret_is_kept_encrypted_and_apart(entra, halden):
    app = SocialApp.objects.get(provider_id=directories.provider_id_of(halden.id))
    assert app.secret == ""
    assert entra.secret not in str(app.settings)
    assert directories.app_of(halden.id).secret == entra.secret


def test_a_secret_copied_to_another_customer_does_not_open(entra, halden, at):
    other = make_customer(at=at)
    app = SocialApp.objects.get(provider_id=directories.provider_id_of(halden.id))
    SocialApp.objects.create(
        provider=app.provider,
        provider_id=directories.provider_id_of(other.id),
        client_id=app.client_id,
        settings=app.settings,
    )
    with pytest.raises(Exception, match="another tenant"):
        directories.app_of(other.id)


def test_a_domain_belongs_to_who_has_people_there_and_named_it_first(entra, halden, at):
    with pytest.raises(NotValid, match="Nobody here"):
        connect(entra, halden, at=at, domains=["microsoft.com"])
    other = make_customer(at=at)
    make_person(other, at=at)
    with pytest.raises(NotValid, match="not your organisation's alone"):
        connect(entra, other, at=at)


def test_a_domain_where_others_are_at_home_is_not_claimed(entra, customer, operator, at):
    """Else the people of operators, partners and other customers would be led to this customer's directory."""
    make_person(customer, at=at)
    agent = make_user(operator, at=at)
    User.objects.filter(id=agent.id).update(email="mina@operations.example")
    agent.refresh_from_db()
    tenants.add_person(agent, to=customer, role="", kind=Membership.Kind.OPERATOR, at=at)
    with pytest.raises(NotValid, match=r"Nobody here has an address at operations\.example"):
        connect(entra, customer, at=at, domains=["operations.example"])
    User.objects.filter(id=agent.id).update(email="mina@example.com")
    with pytest.raises(NotValid, match=r"^example\.com is not your organisation's alone\.$"):
        connect(entra, customer, at=at)


def test_an_address_leads_to_the_organisations_page_with_a_link(entra, halden):
    page = browser().get("/sign-in/organisation?email=Someone@EXAMPLE.com&next=/rooms").content.decode()
    assert f'href="/sign-in/organisation/{halden.id}?next=/rooms"' in page
    unknown = browser().get("/sign-in/organisation?email=someone@elsewhere.org").content.decode()
    assert "No organisation with this address" in unknown


# Settings ------------------------------------------------------------------------------------------------------


def written(entra: Entra, **more: Any) -> dict[str, Any]:
    return {"directory_id": entra.directory, "client_id": entra.client, "secret": entra.secret, **more}


def test_an_administrator_connects_the_directory_and_turns_it_off(entra, customer, at):
    manager = sign_in(make_person(customer, "pro_manager", at=at).user)
    sent = written(entra, domains="example.com", groups=f"{FIELD_GROUP} Site Technician")
    assert manager.post("/settings/sign-in", sent).status_code == 302
    shown = manager.get("/settings/sign-in").content.decode()
    assert entra.secret not in shown
    assert callback_url(customer.id) in shown
    entra.redirects.add(callback_url(customer.id))
    entra.is_person(email="ola@example.com", name="Ola Hansen", groups=[FIELD_GROUP])
    assert come_in(browser(), entra, customer)["Location"] == "/"
    assert manager.post("/settings/sign-in/remove").status_code == 302
    assert browser().get(f"/sign-in/organisation/{customer.id}").status_code == 404


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"directory_id": "00000000-0000-4000-8000-000000000009"}, "does not know this directory"),
        ({"directory_id": "x"}, "Enter a valid UUID."),
        ({"secret": ""}, "Enter the client secret."),
        ({"domains": "elsewhere.example"}, "Nobody here has an address at elsewhere.example."),
        ({"groups": "staff Site Lead"}, "staff is no object ID."),
        ({"groups": f"{FIELD_GROUP} Janitor"}, "There is no role Janitor."),
    ],
)
def test_a_directory_that_cannot_work_is_not_kept(entra, customer, at, more, message):
    manager = sign_in(make_person(customer, "pro_manager", at=at).user)
    answer = manager.post("/settings/sign-in", written(entra, **more))
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert directories.of(customer.id) is None


def test_a_group_gives_no_more_than_whoever_maps_it_has(entra, customer, at):
    person = make_person(customer, "pro_manager", at=at)
    with tenant(customer.id):
        narrow = custom_roles.add_role(
            name="Staff desk", permissions=["roles.view", "roles.modify"], by=None, at=at
        )
    clerk = make_person(customer, narrow.key, at=at)
    sent = written(entra, groups=f"{FIELD_GROUP} Pro Manager")
    answer = sign_in(clerk.user).post("/settings/sign-in", sent)
    assert (answer.status_code, directories.of(customer.id)) == (422, None)
    assert sign_in(person.user).post("/settings/sign-in", sent).status_code == 302
