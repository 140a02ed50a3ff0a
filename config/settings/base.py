"""Settings: everything that differs between machines comes from the environment.

A laptop needs no variable at all: SQLite, an embedded queue in ``var/`` and a secret key made once.
``PRODUCTION=1`` turns every safety on and refuses to start where one is missing.
Every variable is listed in docs/deployment.md.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlparse

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.artefact_storage import describe_storage
from config.encoder_folders import EncoderFolderError, read_encoder_folders
from config.llm_providers import ProviderError, read_providers

BASE_DIR = Path(__file__).resolve().parents[2]
env = environ.Env()


TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def read(kind: str, name: str, default):
    """Return the environment variable as the kind asked for, or say which one is broken and why."""
    if kind == "bool" and (word := os.environ.get(name, "").strip().lower()) not in TRUE + FALSE:
        raise ImproperlyConfigured(f"The environment variable {name} must be 1 or 0, not {word!r}.")
    try:
        return getattr(env, kind)(name, default=default)
    except (ValueError, TypeError, environ.ImproperlyConfigured) as error:
        raise ImproperlyConfigured(
            f"The environment variable {name} is not a valid {kind}: {error}"
        ) from error


def read_url(name: str, schemes: tuple[str, ...]) -> str:
    """Return a URL from the environment ('' when unset); refuse other schemes by name."""
    value = os.environ.get(name, "").strip()
    if value and urlparse(value).scheme not in schemes:
        raise ImproperlyConfigured(
            f"The environment variable {name} must begin with one of {', '.join(s + '://' for s in schemes)}; "
            f"it begins with {value.split(':')[0]!r}."
        )
    return value


def own_secret_key(path: Path) -> str:
    """Return this machine's secret key, making it at the first call; never used in production."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text()


PRODUCTION = read("bool", "PRODUCTION", False)
DEBUG = read("bool", "DEBUG", False)
VAR_DIR = Path(read("str", "VAR_DIR", str(BASE_DIR / "var")))

# --- identity of this installation -------------------------------------------------------------

SECRET_KEY = os.environ.get("SECRET_KEY", "")
if not SECRET_KEY and not PRODUCTION:
    SECRET_KEY = own_secret_key(VAR_DIR / "secret_key")
ALLOWED_HOSTS = read(
    "list", "ALLOWED_HOSTS", [] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]", "testserver"]
)
CSRF_TRUSTED_ORIGINS = read("list", "CSRF_TRUSTED_ORIGINS", [])

# --- database ----------------------------------------------------------------------------------

DATABASE_URL = read_url("DATABASE_URL", ("postgres", "postgresql", "sqlite"))
if DATABASE_URL:
    try:
        DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
    except Exception:  # its words may hold the password
        raise ImproperlyConfigured(
            "The environment variable DATABASE_URL cannot be read. It looks like "
            "'postgres://user:password@host:5432/database'; write special characters of the password as %XX."
        ) from None
    if not DATABASES["default"]["NAME"]:
        raise ImproperlyConfigured("The environment variable DATABASE_URL names no database after the host.")
else:
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    DATABASES = {
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(VAR_DIR / "parallax.sqlite3")}
    }

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Many writers wait for one another instead of failing; what was answered survives a power cut.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"].update(
        CONN_MAX_AGE=read("int", "DATABASE_CONN_MAX_AGE", 60),
        CONN_HEALTH_CHECKS=True,
        OPTIONS={"connect_timeout": 5} | DATABASES["default"].get("OPTIONS", {}),
    )
    # The server plans the path's few queries once per connection. A pooler that hands connections on between
    # transactions, such as pgbouncer, needs this off.
    if read("bool", "DATABASE_PREPARES", True):
        DATABASES["default"]["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 2}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    # What counts failed logins. It lies in the database, so that every process of every server sees the same
    # count, and nobody is kept out while Redis is away.
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "accounts_throttle",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
    # What a process may remember for itself, at no cost.
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}

# --- queue -------------------------------------------------------------------------------------

REDIS_URL = read_url("REDIS_URL", ("redis", "rediss", "unix"))
CELERY_TASK_IGNORE_RESULT = True  # results live in tables
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "jobs.tasks.sweep", "schedule": 15.0, "options": {"expires": 15.0}},
    "time out": {"task": "annotation.tasks.time_out_overdue", "schedule": 60.0, "options": {"expires": 60.0}},
    "renewal": {
        "task": "annotation.tasks.freeze_after_renewal",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    "live reports": {
        "task": "modeling.tasks.refresh_live_reports",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    "retention": {
        "task": "modeling.tasks.remind_of_retention",
        "schedule": 6 * 60 * 60.0,  # more often than once a day: a reminder is given once
        "options": {"expires": 60 * 60.0},
    },
    "scratch": {
        "task": "modeling.tasks.clear_scratch",
        "schedule": 6 * 60 * 60.0,
        "options": {"expires": 60 * 60.0},
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 3600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "max_retries": 1,  # a caller must not wait for a queue that is away: the sweep finds the job's row
        "interval_start": 0,
        "interval_step": 0,
    }
else:
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(VAR_DIR / "queue"),
        "data_folder_out": str(VAR_DIR / "queue"),
        "control_folder": str(VAR_DIR / "control"),
        "store_processed": False,
        "polling_interval": 0.05,
    }
    for folder in ("queue", "control"):
        (VAR_DIR / folder).mkdir(parents=True, exist_ok=True)

# --- mail --------------------------------------------------------------------------------------

EMAIL_HOST = read("str", "EMAIL_HOST", "")  # '' for an installation that sends no mail
EMAIL_PORT = read("int", "EMAIL_PORT", 587)
EMAIL_HOST_USER = read("str", "EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = read("str", "EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = read("bool", "EMAIL_USE_TLS", True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = read("str", "DEFAULT_FROM_EMAIL", "parallax@localhost")

# --- application -------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "config.accounts",
    "jobs",
    "annotation",
    "calibration",
    "modeling",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.accounts.middleware.SecondFactorMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
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
            ]
        },
    }
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
LOCALE_PATHS = [BASE_DIR / "locale"]

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "modeling.charting.ChartLibraryFinder",
]
MANIFEST = "whitenoise.storage.CompressedManifestStaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": MANIFEST},
    # What a fit leaves behind. Every worker must reach it; the row that points at a file holds its hash.
    "artefacts": describe_storage(
        read_url("ARTEFACTS_URL", ("s3",)), read("str", "ARTEFACT_DIR", str(VAR_DIR / "artefacts"))
    ),
}
# What this machine keeps of a bucket's files, so that a process reads each once.
ARTEFACT_CACHE_MB = read("int", "ARTEFACT_CACHE_MB", 4096)
if ARTEFACT_CACHE_MB < 1:
    raise ImproperlyConfigured(
        f"The environment variable ARTEFACT_CACHE_MB must be at least 1, not {ARTEFACT_CACHE_MB}."
    )

PROLIFIC_COMPLETION_URL = read(
    "str", "PROLIFIC_COMPLETION_URL", "https://app.prolific.com/submissions/complete"
)

try:
    LLM_PROVIDERS = read_providers(os.environ)
except ProviderError as error:
    raise ImproperlyConfigured(str(error)) from None

try:
    ENCODERS = read_encoder_folders(os.environ)  # transformers that can be taught here, by name
except EncoderFolderError as error:
    raise ImproperlyConfigured(str(error)) from None

SCORING_API = read("bool", "SCORING_API", True)  # off where another process, or none, is to serve it

# --- security ----------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "modeling:studies"
LOGOUT_REDIRECT_URL = "home"
REQUIRE_MFA = read("bool", "REQUIRE_MFA", PRODUCTION)
ACCOUNT_ADAPTER = "config.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]  # nobody signs up; allauth wants to know
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Parallax"
SESSION_HOURS = read("int", "SESSION_HOURS", 12)
if not 1 <= SESSION_HOURS <= 24 * 14:
    raise ImproperlyConfigured(
        f"The environment variable SESSION_HOURS must be from 1 to {24 * 14}, not {SESSION_HOURS}."
    )
SESSION_COOKIE_AGE = SESSION_HOURS * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = read("bool", "SESSION_ENDS_WITH_BROWSER", True)
ACCOUNT_SESSION_REMEMBER = not SESSION_EXPIRE_AT_BROWSER_CLOSE
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "annotation.views.problems.csrf_failure"
RATER_COOKIE_AGE_SECONDS = 60 * 60 * 24 * 30
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

if PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_SSL_REDIRECT = read("bool", "SECURE_SSL_REDIRECT", True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # asked for by a balancer inside the network
    SECURE_HSTS_SECONDS = read("int", "SECURE_HSTS_SECONDS", 60 * 60 * 24 * 365)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    if read("bool", "BEHIND_PROXY", False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        ALLAUTH_TRUSTED_PROXY_COUNT = 1  # X-Forwarded-For says whose failed logins are counted together

# --- logs --------------------------------------------------------------------------------------

LOG_LEVEL = read("str", "LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
    raise ImproperlyConfigured(
        f"The environment variable LOG_LEVEL must be a level such as INFO, not {LOG_LEVEL!r}."
    )
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # Prolific's link carries a person's id in its query; request lines that log it stay out.
    "loggers": {"django.server": {"handlers": [], "propagate": False}},
}


def refuse_unsafe_production() -> None:
    """Stop a production start that would lose data or leak it, naming every fault at once."""
    faults = []
    if not SECRET_KEY:
        faults.append(
            "SECRET_KEY is not set; make one with `python -c 'import secrets; print(secrets.token_urlsafe(50))'`."
        )
    elif len(SECRET_KEY) < 50:
        faults.append("SECRET_KEY is shorter than 50 characters.")
    if DEBUG:
        faults.append("DEBUG must be off: it shows code and data to strangers.")
    if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
        faults.append("ALLOWED_HOSTS must name the hosts that are served, for example 'study.example.org'.")
    if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        faults.append(
            "DATABASE_URL must name a PostgreSQL database, for example 'postgres://user:password@host/parallax'."
        )
    if not REDIS_URL:
        faults.append("REDIS_URL must name the queue's server, for example 'redis://host:6379/0'.")
    if faults:
        raise ImproperlyConfigured("Parallax does not start with PRODUCTION=1:\n- " + "\n- ".join(faults))


if PRODUCTION:
    refuse_unsafe_production()
