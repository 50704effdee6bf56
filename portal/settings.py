"""Django settings. Every value that may differ between installations is read in one place: `environment`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from foundation.environment import Environment
from foundation.keyring import kept

BASE_DIR = Path(__file__).resolve().parent.parent
environment = Environment()

GREENROOM_HOME = environment.path(
    "GREENROOM_HOME", BASE_DIR / ".greenroom", "Where data, logs and secrets of this installation live.",
    shown="`.greenroom/`",
)  # fmt: skip
GREENROOM_PORT = environment.integer(
    "GREENROOM_PORT", 8000, "Port of the portal; the ingest process takes the next one.", least=1, most=65534
)
GREENROOM_BIND = environment.text(
    "GREENROOM_BIND", "127.0.0.1", "Address the web and ingest processes listen on."
)
GREENROOM_URL = environment.text(
    "GREENROOM_URL",
    f"http://localhost:{GREENROOM_PORT}",
    "Address under which people and devices reach the portal.",
    shown="http://localhost:8000",
).rstrip("/")
GREENROOM_INGEST_URL = environment.text(
    "GREENROOM_INGEST_URL",
    f"http://localhost:{GREENROOM_PORT + 1}"
    if "GREENROOM_URL" not in environment._variables
    else GREENROOM_URL,
    "Address devices send heartbeats to; behind a front that joins web and ingest it is GREENROOM_URL.",
    shown="http://localhost:8001, or GREENROOM_URL where that is set",
).rstrip("/")
MODE = environment.text(
    "GREENROOM_MODE",
    "demo",
    "`production` refuses demo shortcuts and wants TLS in front.",
    one_of=("demo", "production"),
)
PRODUCTION = MODE == "production"
DEBUG = environment.flag("GREENROOM_DEBUG", False, "Django's debug pages; refused in production.")
if DEBUG and PRODUCTION:
    environment.problem("GREENROOM_DEBUG must be false in production.")

_given_key = "GREENROOM_SECRET_KEY" in environment._variables
SECRET_KEY = (
    environment.secret(
        "GREENROOM_SECRET_KEY",
        "" if _given_key else kept(GREENROOM_HOME, "secret_key", lambda: secrets.token_urlsafe(48)),
        "Signs sessions and nonces. Required in production, at least 32 characters.",
        shown="made once, kept in GREENROOM_HOME",
    )
    if (_given_key or not PRODUCTION)
    else ""
)
if PRODUCTION and not SECRET_KEY:
    environment.problem("GREENROOM_SECRET_KEY must be set in production.")
GREENROOM_FIELD_KEYS = environment.words(
    "GREENROOM_FIELD_KEYS",
    "",
    "Fernet keys that encrypt stored secrets, newest first; made once where unset.",
)

ALLOWED_HOSTS = environment.words(
    "GREENROOM_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", "Host names the portal answers to."
)
TRUSTED_PROXIES = environment.integer(
    "GREENROOM_TRUSTED_PROXIES", 0, "How many proxies in front set X-Forwarded-For.", least=0, most=5
)
GREENROOM_DDI_PROXIES = environment.networks(
    "GREENROOM_DDI_PROXIES",
    "",
    "Proxies that check update clients' certificates: their X-Controller-Id and X-Authority count.",
)
SECURITY_CONTACT = environment.text(
    "GREENROOM_SECURITY_CONTACT",
    "",
    "Where people report weaknesses, as mailto: or https: address; shown at /.well-known/security.txt.",
)
if SECURITY_CONTACT and not SECURITY_CONTACT.startswith(("mailto:", "https://")):
    environment.problem("GREENROOM_SECURITY_CONTACT must start with mailto: or https://.")
METRICS_TOKEN = environment.text(
    "GREENROOM_METRICS_TOKEN", "", "Bearer token that may read /metrics; empty: loopback only."
)

# Services ------------------------------------------------------------------------------------------------------

_databases = {
    "default": environment.database("DATABASE_URL", "The app role: everything that serves or works."),
    "owner": environment.database("GREENROOM_OWNER_DATABASE_URL", "The owner role: migrations only."),
    "sweep": environment.database(
        "GREENROOM_SWEEP_DATABASE_URL", "The sweep role: reads which tenants are due."
    ),
}
REDIS_URL = environment.redis("REDIS_URL", "Streams and hints. Losing it loses no fact.")
CACHE_URL = environment.redis(
    "GREENROOM_CACHE_URL", "Cache; a database or server of its own. Database 1 of REDIS_URL where unset."
)
DATABASES: dict[str, dict[str, Any]] = {
    alias: {
        "ENGINE": "foundation.backend",
        **address,
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {
            "connect_timeout": 2,
            "application_name": f"greenroom {alias}",
            # The first is accepted by plain PostgreSQL and needed by a distributed one.
            "options": "-c citus.propagate_set_commands=local -c lock_timeout=10s -c random_page_cost=1.1"
            + (" -c statement_timeout=30s" if alias != "owner" else ""),
        },
        "TEST": {"MIGRATE": False},
    }
    for alias, address in _databases.items()
}
DATABASE_ROUTERS = ["foundation.backend.routers.MigrateAsOwner"]

STREAM_LIMIT = environment.integer(
    "GREENROOM_STREAM_LIMIT", 1_000_000, "Heartbeats waiting in one stream before devices are told to wait.",
    least=1_000, most=100_000_000,
)  # fmt: skip
STREAM_SHARDS = environment.integer(
    "GREENROOM_STREAM_SHARDS", 2, "Heartbeat streams, each with one drain.", least=1, most=32
)

DEVICE_TOKEN_DAYS = environment.integer(
    "GREENROOM_DEVICE_TOKEN_DAYS",
    30,
    "Days a device's token lives; half-way the device renews it.",
    least=1,
    most=365,
)

WRITES_PER_MINUTE = environment.integer(
    "GREENROOM_WRITES_PER_MINUTE",
    120,
    "Changes a person or a token may make in a minute; a customer together ten times as many.",
    least=10,
    most=1_000_000,
)

REGIONS = dict(
    each.partition("=")[::2]
    for each in environment.words(
        "GREENROOM_REGIONS",
        "eu=European Union,apac=Asia Pacific,us=United States",
        "Regions this installation serves, each with where its data lives: eu, apac, us. The first is the usual one.",
    )
)
if not REGIONS or not REGIONS.keys() <= {"eu", "apac", "us"} or not all(REGIONS.values()):
    environment.problem("GREENROOM_REGIONS must be some of eu=…, apac=… and us=…, each with a place.")
UNSUPPORTED_COUNTRIES = environment.words(
    "GREENROOM_UNSUPPORTED_COUNTRIES",
    "CN,CU,IR,KP,SY",
    "Codes (ISO 3166) of countries in which no room can be enrolled.",
)
SUPPORT_NOTICE_DAYS = environment.integer(
    "GREENROOM_SUPPORT_NOTICE_DAYS",
    365,
    "Days before the end of a model's support from which its devices are marked.",
    least=0,
    most=3_650,
)
UPDATE_POLL_S = environment.integer(
    "GREENROOM_UPDATE_POLL_S",
    300,
    "Seconds between two polls of an update client, give or take a tenth.",
    least=30,
    most=43_200,
)

AUDIT_KEEP_DAYS = environment.integer(
    "GREENROOM_AUDIT_KEEP_DAYS", 400, "Days the audit log is kept.", least=180, most=3_650
)
AUDIT_HEADS = environment.path(
    "GREENROOM_AUDIT_HEADS",
    GREENROOM_HOME / "audit-heads",
    "Folder where the ends of the audit chains are kept hourly; best on another disk or machine.",
    shown="`audit-heads/` in GREENROOM_HOME",
)

# Outgoing calls ------------------------------------------------------------------------------------------------

GUARDED_CLIENT_ALLOWS = environment.words(
    "GREENROOM_OUTGOING_ALLOWS", "", "Private networks that calls to customers' addresses may reach, as CIDR."
)
GUARDED_CLIENT_CA = environment.text(
    "GREENROOM_OUTGOING_CA",
    "",
    "File of certificates trusted besides the usual ones, also of the mail server.",
)

# Django --------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "csp",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "foundation",
    "tenancy",
    "fleet",
    "enrollment",
    "updates",
    "incidents",
    "workers",
    "portal",
]
MIDDLEWARE = [
    "portal.middleware.requests.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "portal.static_files.ServeStaticFiles",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.middleware.tenants.TenantMiddleware",
    "portal.middleware.sessions.SessionEndMiddleware",
    "portal.middleware.second_factor.SecondFactorMiddleware",
    "portal.middleware.write_limits.WriteLimitMiddleware",
    "portal.middleware.refusals.RefusalMiddleware",
]
CSRF_FAILURE_VIEW = "portal.errors.csrf_refused"
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.shell.shell",
            ],
        },
    }
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 250_000  # of a form without its files; documents of the API: portal.api.parsers
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_100  # a form may offer 500 people and 500 groups

STATIC_URL = "/static/"
STATIC_ROOT = environment.path(
    "GREENROOM_STATIC_ROOT", GREENROOM_HOME / "static", "Where collected static files are kept.",
    shown="`static/` in GREENROOM_HOME",
)  # fmt: skip
STATICFILES_DIRS = [BASE_DIR / "static"]
FILES_BUCKET = environment.text(
    "GREENROOM_FILES_BUCKET",
    "",
    "Bucket of an S3-compatible store that keeps files; empty: `files/` in GREENROOM_HOME.",
)
_bucket_options = {
    "bucket_name": FILES_BUCKET,
    "endpoint_url": environment.text(
        "GREENROOM_FILES_ENDPOINT", "", "Address of that store; empty: Amazon's own for the region."
    )
    or None,
    "region_name": environment.text("GREENROOM_FILES_REGION", "", "Region of the bucket.") or None,
    "access_key": environment.text("GREENROOM_FILES_ACCESS_KEY", "", "Access key of that store.") or None,
    "secret_key": environment.text("GREENROOM_FILES_SECRET_KEY", "", "Secret key of that store.") or None,
    "addressing_style": "path",
    "signature_version": "s3v4",
    "default_acl": None,
    "file_overwrite": True,  # names are digests or random: the same name is the same content
}
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": _bucket_options}
    if FILES_BUCKET
    else {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": GREENROOM_HOME / "files"},
    },
    "staticfiles": {"BACKEND": "portal.static_files.StaticFiles"},
}
FILES_FRONT = environment.text(
    "GREENROOM_FILES_FRONT",
    "",
    "Internal location of a front server that serves `files/` in GREENROOM_HOME by X-Accel-Redirect; empty: none.",
).rstrip("/")
if FILES_BUCKET and FILES_FRONT:
    environment.problem(
        "GREENROOM_FILES_FRONT serves files of this machine; with GREENROOM_FILES_BUCKET there are none."
    )
WHITENOISE_KEEP_ONLY_HASHED_FILES = False
WHITENOISE_USE_FINDERS = True  # plain names from the sources, where nobody has collected
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # they name things of a customer

# Sign-in -------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "tenancy.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "portal.sign_in.accounts.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # people come by invitation, which proves the address
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody is written to who has no account
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
# Per person and per address no more than 60 wrong guesses an hour are compared with a password.
ACCOUNT_RATE_LIMITS = {"login": "120/m/ip", "login_failed": "10/m/ip,60/h/ip,5/5m/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES

MFA_ADAPTER = "portal.sign_in.factors.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_ISSUER = "Greenroom"
MFA_TOTP_TOLERANCE = 1  # a code of the half minute before and after counts too
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_RECOVERY_CODE_DIGITS = 10
MFA_TRUST_ENABLED = False
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PRODUCTION  # http://localhost of the demo

DEMO_WITHOUT_MFA = environment.flag(
    "GREENROOM_DEMO_WITHOUT_MFA",
    not PRODUCTION,
    "Operators and administrators of the demo sign in without a second factor; refused in production.",
)
if DEMO_WITHOUT_MFA and PRODUCTION:
    environment.problem("GREENROOM_DEMO_WITHOUT_MFA must be false in production.")

SOCIALACCOUNT_ADAPTER = "portal.sign_in.entra.DirectoryAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False  # a person of a directory is never matched by e-mail
SOCIALACCOUNT_LOGIN_ON_GET = True  # from a page of its own: form-action covers the redirect after a post
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_QUERY_EMAIL = False
ENTRA_URL = environment.text(
    "GREENROOM_ENTRA_URL",
    "https://login.microsoftonline.com",
    "Address of the Microsoft Entra ID that customers' directories sign in with.",
).rstrip("/")
if not ENTRA_URL.startswith("https://"):
    environment.problem("GREENROOM_ENTRA_URL must start with https://.")

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_NAME = "__Host-sessionid" if PRODUCTION else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if PRODUCTION else "csrftoken"
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": CACHE_URL or f"{REDIS_URL.rsplit('/', 1)[0]}/1",
        "KEY_PREFIX": "cache",
    }
}

MAIL_SERVER = environment.mail_server(
    "GREENROOM_MAIL_URL",
    "Mail server: `smtp://user:password@host:587` begins TLS before the password, `smtps://` has it from the start, "
    "`smtp://host:25?tls=none` is for a relay on the same network. Required in production; without it mail is "
    "written to `mail/` in GREENROOM_HOME.",
)
DEFAULT_FROM_EMAIL = environment.mail_address(
    "GREENROOM_MAIL_FROM",
    "Greenroom <greenroom@localhost>",
    "Whom mail comes from. Required in production.",
)
if PRODUCTION and MAIL_SERVER is None:
    environment.problem("GREENROOM_MAIL_URL must be set in production: people come by mail.")
if PRODUCTION and "GREENROOM_MAIL_FROM" not in environment._variables:
    environment.problem("GREENROOM_MAIL_FROM must be set in production.")
if MAIL_SERVER is None:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = GREENROOM_HOME / "mail"
else:
    EMAIL_BACKEND = "workers.mail_server.MailServerBackend"
    EMAIL_HOST, EMAIL_PORT = MAIL_SERVER.host, MAIL_SERVER.port
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL_SERVER.user, MAIL_SERVER.password
    EMAIL_USE_SSL, EMAIL_USE_TLS = MAIL_SERVER.tls == "at once", MAIL_SERVER.tls == "starttls"
EMAIL_TIMEOUT = 10  # seconds for each answer; a lease of the outbox is 60

# API -----------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["portal.api.authentication.ApiTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["portal.api.authentication.HasPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["portal.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "portal.api.schema.GreenroomSchema",
    "DEFAULT_PAGINATION_CLASS": "portal.api.pagination.KeysetPagination",
    "EXCEPTION_HANDLER": "portal.api.errors.problem_details",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Greenroom API",
    "DESCRIPTION": "Rooms, devices, incidents and enrollment of managed meeting rooms.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
}

LOG_FORMAT = environment.text("GREENROOM_LOG_FORMAT", "plain", "Form of log lines.", one_of=("plain", "json"))
LOG_LEVEL = environment.text(
    "GREENROOM_LOG_LEVEL",
    "INFO",
    "Least severe log lines kept.",
    one_of=("DEBUG", "INFO", "WARNING", "ERROR"),
)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"secrets": {"()": "foundation.logs.HideSecrets"}},
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {"()": "foundation.logs.json_lines"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["secrets"]},
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
}

environment.finish()
