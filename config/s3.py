"""The bucket as a storage of Django's, whose failures say what is wrong and where it is set."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from s3transfer.exceptions import RetriesExceededError
from storages.backends.s3 import S3File, S3Storage
from storages.utils import clean_name

from config.artefact_storage import VARIABLE, StorageUnreachable

CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
MOST_IN_MEMORY = 8 * 2**20  # of a file that is read; more of it lies on disk
CLIENT = {
    "signature_version": "s3v4",
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 4},
    # Rows hold the SHA-256 of each file; servers other than Amazon's may not know the newer checksums.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}

# At DEBUG these log signed headers and what is sent.
for _library in ("boto3", "botocore", "s3transfer"):
    logging.getLogger(_library).setLevel(logging.WARNING)


@contextmanager
def speaking_plainly() -> Iterator[None]:
    """Turn what the libraries raise into FileNotFoundError or StorageUnreachable."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        if code == "NoSuchBucket":
            raise StorageUnreachable(f"The storage knows no bucket of the name in {VARIABLE}.") from error
        if status == 404:
            raise FileNotFoundError("The bucket holds no such file.") from error
        if status in (401, 403):
            raise StorageUnreachable(
                f"The storage that {VARIABLE} names refused {error.operation_name} ({code}): see {CREDENTIALS}, and "
                "whether they may list the bucket and read, write and delete in it."
            ) from error
        raise StorageUnreachable(
            f"The storage that {VARIABLE} names answered {error.operation_name} with {status} ({code})."
        ) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StorageUnreachable(
            f"There are no credentials for the storage that {VARIABLE} names; set {CREDENTIALS}."
        ) from error
    except (BotoCoreError, Boto3Error, RetriesExceededError) as error:
        raise StorageUnreachable(
            f"The storage that {VARIABLE} names cannot be reached ({type(error).__name__})."
        ) from error


class BucketFile(S3File):
    """An object that is fetched when it is first read."""

    def _get_file(self) -> Any:
        with speaking_plainly():
            return super()._get_file()

    file = property(_get_file, S3File._set_file)


class BucketStorage(S3Storage):
    """A bucket. As in a folder, a file is never written over: one of the same name gets another."""

    def __init__(self, **options: Any) -> None:
        style = options.get("addressing_style") or "auto"
        fixed = {
            "client_config": Config(s3={"addressing_style": style}, **CLIENT),
            "file_overwrite": False,
            "max_memory_size": MOST_IN_MEMORY,
            # An ending such as .gz would be announced as a coding of transport, which some undo on the way.
            "object_parameters": {"ContentType": "application/octet-stream"},
        }
        super().__init__(**fixed, **options)

    def _open(self, name: str, mode: str = "rb") -> BucketFile:
        with speaking_plainly():
            return BucketFile(self._normalize_name(clean_name(name)), mode, self)

    def _save(self, name: str, content: Any) -> str:
        with speaking_plainly():
            return super()._save(name, content)

    def exists(self, name: str) -> bool:
        with speaking_plainly():
            return super().exists(name)

    def delete(self, name: str) -> None:
        with speaking_plainly():
            super().delete(name)

    def size(self, name: str) -> int:
        with speaking_plainly():
            return super().size(name)

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        """Return the folders and files directly under this name."""
        path = self._normalize_name(clean_name(name))
        path = f"{path}/" if path and not path.endswith("/") else path
        folders, files = [], []
        with speaking_plainly():
            pages = self.connection.meta.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket_name, Delimiter="/", Prefix=path
            )
            for page in pages:
                folders += [entry["Prefix"][len(path) : -1] for entry in page.get("CommonPrefixes", ())]
                files += [
                    entry["Key"][len(path) :] for entry in page.get("Contents", ()) if entry["Key"] != path
                ]
        return folders, files
