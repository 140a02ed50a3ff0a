"""Where artefacts lie, as the environment says it: in a folder, or in a bucket that is spoken to by S3's protocol."""

from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.core.exceptions import ImproperlyConfigured

VARIABLE = "ARTEFACTS_URL"
EXAMPLE = "s3://bucket/prefix?endpoint_url=https://objects.example.org"
OPTIONS = ("endpoint_url", "region_name", "addressing_style")
STYLES = ("auto", "path", "virtual")


class StorageUnreachable(OSError):
    """The bucket does not answer, or not to these credentials: a matter of time or of the installation."""


def describe_storage(url: str, folder: str) -> dict[str, Any]:
    """Return Django's description of the artefact storage: the bucket of this URL, or the folder when it is ''.

    Raises ImproperlyConfigured, which quotes nothing of the URL but names of options: a secret may stand in it.
    """
    if not url:
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": folder},
        }
    options = {"location": "", **_read_bucket(url)}
    missing = [package for package in ("storages", "boto3") if find_spec(package) is None]
    if missing:
        raise ImproperlyConfigured(
            f"{VARIABLE} names a bucket, and Python does not find {' and '.join(missing)}: "
            "`pip install --require-hashes -r requirements-s3.txt`."
        )
    return {"BACKEND": "config.s3.BucketStorage", "OPTIONS": options}


def _read_bucket(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ImproperlyConfigured(
            f"{VARIABLE} must hold no key: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead."
        )
    if parts.scheme != "s3" or not parts.netloc:
        raise ImproperlyConfigured(f"{VARIABLE} must name a bucket, as in '{EXAMPLE}'.")
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ImproperlyConfigured(
            f"What follows the ? in {VARIABLE} is not of the form name=value&name=value."
        ) from None
    given = dict(pairs)
    if unknown := sorted(given.keys() - set(OPTIONS)):
        raise ImproperlyConfigured(
            f"{VARIABLE} has no option {', '.join(unknown)}; there are {', '.join(OPTIONS)}."
        )
    if "endpoint_url" in given:
        endpoint = urlsplit(given["endpoint_url"])
        if endpoint.scheme not in ("http", "https") or not endpoint.netloc or "@" in endpoint.netloc:
            raise ImproperlyConfigured(
                f"endpoint_url in {VARIABLE} must be an address that begins with http:// or https://, without a key."
            )
    if given.get("addressing_style", STYLES[0]) not in STYLES:
        raise ImproperlyConfigured(f"addressing_style in {VARIABLE} must be one of {', '.join(STYLES)}.")
    return {"bucket_name": parts.netloc, "location": parts.path.strip("/"), **given}
