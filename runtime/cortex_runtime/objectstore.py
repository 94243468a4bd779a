"""Object stores: a directory, or a bucket that speaks S3. An object is there whole, or not at all.

    file:///var/lib/objects            a directory of this machine
    s3://bucket/prefix                 a bucket; credentials and region as boto3 finds them
    s3://bucket/prefix?endpoint=https://host:9000

All calls block: call them from a thread. They raise ObjectStoreError when the store fails.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from cortex_runtime.durable import remove_temporaries, replacing, sync_directory

COPIED_AT_ONCE = 1 << 26
LEFT_OVER = 3600.0  # seconds: what is no longer written to after them nobody is writing
TIMEOUT = 20.0
ATTEMPTS = 3
_NAME = re.compile(r"(?=.{1,512}\Z)[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


class ObjectStoreError(Exception):
    """The store does not do what it was asked; the message says why."""


class NoSuchObjectError(ObjectStoreError):
    """There is no object of this name."""


class ObjectStore(Protocol):
    """Objects by name: parts of a-z, 0-9, dot, hyphen and underscore with slashes between them."""

    def put(self, name: str, source: Path) -> None:
        """Make an object of a file, in place of one of the same name."""

    def create(self, name: str, content: bytes) -> bool:
        """Make a small object unless there is one of the same name; tell whether it was made."""

    def get(self, name: str, descriptor: int) -> None:
        """Write an object into an open file, which is empty."""

    def names(self, prefix: str) -> list[str]:
        """Return the names that begin with a prefix, ascending."""

    def delete(self, name: str) -> None:
        """Delete an object; no-op when there is none."""


def open_store(url: str) -> ObjectStore:
    """Return the store of a URL. Raises ValueError when it is none."""
    parts = urlsplit(check(url))
    if parts.scheme == "file":
        return DirectoryStore(Path(unquote(parts.path)))
    endpoint = parse_qs(parts.query).get("endpoint", [None])[0]
    return BucketStore(parts.netloc, parts.path.strip("/"), endpoint)


def check(url: str) -> str:
    """Return the URL of a store. Raises ValueError when it is none."""
    parts = urlsplit(url)
    directory = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    if not directory and not (parts.scheme == "s3" and parts.netloc):
        raise ValueError(f"{url!r} is no object store: file:///directory or s3://bucket/prefix")
    return url


class DirectoryStore:
    """Objects as files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, name: str, source: Path) -> None:
        """Make an object of a file: a copy under another name, synced and renamed."""
        path = self._path(name)
        with _failing(name):
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync_directory(path.parent.parent)
            remove_temporaries(path.parent, age=LEFT_OVER)
            with replacing(path) as target, source.open("rb") as file:
                _copy(file.fileno(), target)

    def create(self, name: str, content: bytes) -> bool:
        """Make an object: a file under another name, synced, and linked, which never replaces one."""
        path = self._path(name)
        with _failing(name):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(prefix=".", suffix=".part", dir=path.parent) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                try:
                    os.link(file.name, path)
                except FileExistsError:
                    return False
            sync_directory(path.parent)
        return True

    def get(self, name: str, descriptor: int) -> None:
        """Write an object into an open file."""
        path = self._path(name)
        with _failing(name):
            source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                _copy(source, descriptor)
            finally:
                os.close(source)

    def names(self, prefix: str) -> list[str]:
        """Return the names of objects; what is not a file of a proper name is none."""
        found = []
        with _failing(prefix):
            for path in (self._directory / prefix.rpartition("/")[0]).rglob("*"):
                name = path.relative_to(self._directory).as_posix()
                if name.startswith(prefix) and _NAME.fullmatch(name) and stat.S_ISREG(path.lstat().st_mode):
                    found.append(name)
        return sorted(found)

    def delete(self, name: str) -> None:
        """Delete an object."""
        path = self._path(name)
        with _failing(name):
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._directory / checked(name)


class BucketStore:
    """Objects in a bucket. What is uploaded in parts is an object only once it is whole: S3's own rule."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None = None, client: Any = None) -> None:
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self._client = client or _client(endpoint)

    def put(self, name: str, source: Path) -> None:
        """Upload a file, and see that as much of it has arrived."""
        key = self._key(name)
        with _failing(name):
            self._client.upload_file(str(source), self._bucket, key)
            arrived = self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        if arrived != source.stat().st_size:
            raise ObjectStoreError(f"{name}: {arrived} bytes have arrived of {source.stat().st_size}")

    def create(self, name: str, content: bytes) -> bool:
        """Upload a small object on the condition that there is none of the name (RFC 9110, If-None-Match)."""
        key = self._key(name)
        with _failing(name):
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=content, IfNoneMatch="*")
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in ("PreconditionFailed", "412"):
                    return False
                raise
        return True

    def get(self, name: str, descriptor: int) -> None:
        """Download an object into an open file."""
        key = self._key(name)
        with _failing(name), os.fdopen(os.dup(descriptor), "wb") as file:
            self._client.download_fileobj(self._bucket, key, file)

    def names(self, prefix: str) -> list[str]:
        """Return the names of objects."""
        found = []
        with _failing(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                found += [each["Key"].removeprefix(self._prefix) for each in page.get("Contents", ())]
        return sorted(name for name in found if _NAME.fullmatch(name))

    def delete(self, name: str) -> None:
        """Delete an object."""
        key = self._key(name)
        with _failing(name):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def _key(self, name: str) -> str:
        return self._prefix + checked(name)


def checked(name: str) -> str:
    """Return an object's name. Raises ValueError when it is none, as of `../x` and `/x`."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:64]!r} is no object's name")
    return name


def _client(endpoint: str | None) -> Any:
    import boto3  # noqa: PLC0415 - it takes its time to load, and most nodes have a directory
    from botocore.config import Config  # noqa: PLC0415

    limits = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"total_max_attempts": ATTEMPTS})
    return boto3.client("s3", endpoint_url=endpoint, config=limits)


@contextmanager
def _failing(name: str) -> Iterator[None]:
    """Raise what goes wrong as ObjectStoreError."""
    try:
        yield
    except FileNotFoundError as error:
        raise NoSuchObjectError(f"{name}: {error}") from error
    except Exception as error:  # boto3's own have no common base but this
        missing = getattr(error, "response", {}).get("Error", {}).get("Code") in ("404", "NoSuchKey")
        raise (NoSuchObjectError if missing else ObjectStoreError)(f"{name}: {error}") from error


def _copy(source: int, target: int) -> None:
    while os.sendfile(target, source, None, COPIED_AT_ONCE):
        pass
