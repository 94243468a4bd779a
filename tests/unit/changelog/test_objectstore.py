"""Object stores: a directory, and a bucket whose answers are given (botocore's Stubber)."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from cortex_runtime.objectstore import (
    BucketStore,
    DirectoryStore,
    NoSuchObjectError,
    ObjectStore,
    ObjectStoreError,
    open_store,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"content")
    return path


def content_of(store: ObjectStore, name: str, directory: Path) -> bytes:
    target = directory / "target"
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        store.get(name, descriptor)
        return target.read_bytes()
    finally:
        os.close(descriptor)


def test_what_was_put_is_there(tmp_path: Path, source: Path) -> None:
    store = open_store((tmp_path / "a store ü").as_uri())
    assert store.names("") == []
    store.put("b/one.x", source)
    store.put("a", source)
    source.write_bytes(b"other")
    store.put("a", source)
    assert store.names("") == ["a", "b/one.x"]
    assert store.names("b/") == ["b/one.x"]
    assert content_of(store, "b/one.x", tmp_path) == b"content"
    assert content_of(store, "a", tmp_path) == b"other"
    store.delete("a")
    store.delete("a")
    assert store.names("") == ["b/one.x"]
    with pytest.raises(NoSuchObjectError):
        content_of(store, "a", tmp_path)


def test_an_object_is_created_once_and_never_replaced(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    assert store.create("a/b", b"first")
    assert not store.create("a/b", b"second")
    assert content_of(store, "a/b", tmp_path) == b"first"
    assert [path.name for path in (tmp_path / "store" / "a").iterdir()] == ["b"]
    assert store.names("a/") == ["a/b"]
    assert store.names("none/") == []


@pytest.mark.parametrize(
    "name", ["", "/x", "../x", "a/../b", "a//b", ".x", "a/.x", "A", "a\n", "a\0", "a" * 513]
)
def test_names_that_would_lead_elsewhere_are_refused(tmp_path: Path, source: Path, name: str) -> None:
    for store in (DirectoryStore(tmp_path / "store"), BucketStore("bucket", "", client=object())):
        with pytest.raises(ValueError, match="no object's name"):
            store.put(name, source)
        with pytest.raises(ValueError, match="no object's name"):
            store.get(name, 1)
        with pytest.raises(ValueError, match="no object's name"):
            store.delete(name)
    assert not (tmp_path / "store").exists()


def test_links_and_what_was_left_half_done_are_no_objects(tmp_path: Path, source: Path) -> None:
    store = DirectoryStore(tmp_path)
    (tmp_path / "link").symlink_to(source)
    old, young = tmp_path / ".old.part", tmp_path / ".young.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - 7200))
    assert store.names("") == ["source"]
    with pytest.raises(ObjectStoreError, match="symbolic links"):
        content_of(store, "link", tmp_path)
    store.put("new", source)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ObjectStoreError, match=r"Not a directory|File exists"):
        DirectoryStore(tmp_path / "file").put("a", source)


@pytest.mark.parametrize(
    "url", ["", "objects", "file://host/x", "file:objects", "s3://", "s3:///x", "http://x/y"]
)
def test_what_is_no_url_of_a_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no object store"):
        open_store(url)


@pytest.fixture
def stubbed() -> Iterator[tuple[BucketStore, Stubber]]:
    client = boto3.client(
        "s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x",
        endpoint_url="https://localhost:1",
    )  # fmt: skip
    with Stubber(client) as stubber:
        yield BucketStore("bucket", "some/prefix", client=client), stubber
        stubber.assert_no_pending_responses()


def expected(name: str, **more: Any) -> dict[str, Any]:
    return {"Bucket": "bucket", "Key": f"some/prefix/{name}", **more}


def test_a_bucket_gets_a_file_and_is_asked_how_much_has_arrived(
    stubbed: tuple[BucketStore, Stubber], source: Path
) -> None:
    store, stubber = stubbed
    stubber.add_response("put_object", {}, expected("a/b", Body=ANY, ChecksumAlgorithm=ANY))
    stubber.add_response("head_object", {"ContentLength": 7}, expected("a/b"))
    store.put("a/b", source)
    stubber.add_response("put_object", {}, expected("a/b", Body=ANY, ChecksumAlgorithm=ANY))
    stubber.add_response("head_object", {"ContentLength": 6}, expected("a/b"))
    with pytest.raises(ObjectStoreError, match="6 bytes have arrived of 7"):
        store.put("a/b", source)


def test_a_bucket_gives_objects_and_their_names(stubbed: tuple[BucketStore, Stubber], tmp_path: Path) -> None:
    store, stubber = stubbed
    stubber.add_response("head_object", {"ContentLength": 3, "ETag": "1"}, expected("a"))
    body = {"Body": StreamingBody(io.BytesIO(b"abc"), 3), "ContentLength": 3, "ETag": "1"}
    stubber.add_response("get_object", body, expected("a"))
    assert content_of(store, "a", tmp_path) == b"abc"
    page = {"Contents": [{"Key": f"some/prefix/{name}"} for name in ("x.2", "x.1", "x/../1", "x.part/")]}
    stubber.add_response("list_objects_v2", page, {"Bucket": "bucket", "Prefix": "some/prefix/x"})
    assert store.names("x") == ["x.1", "x.2"]
    stubber.add_response("delete_object", {}, expected("a"))
    store.delete("a")


def test_a_bucket_creates_an_object_unless_there_is_one(stubbed: tuple[BucketStore, Stubber]) -> None:
    store, stubber = stubbed
    stubber.add_response("put_object", {}, expected("a", Body=b"x", IfNoneMatch="*"))
    assert store.create("a", b"x")
    stubber.add_client_error("put_object", "PreconditionFailed", "there is one", 412)
    assert not store.create("a", b"y")
    stubber.add_client_error("put_object", "AccessDenied", "no", 403)
    with pytest.raises(ObjectStoreError, match="AccessDenied"):
        store.create("a", b"z")


def test_a_bucket_that_fails_says_so(stubbed: tuple[BucketStore, Stubber], tmp_path: Path) -> None:
    store, stubber = stubbed
    stubber.add_client_error("head_object", "404", "Not Found", 404)
    with pytest.raises(NoSuchObjectError):
        content_of(store, "a", tmp_path)
    stubber.add_client_error("list_objects_v2", "AccessDenied", "no", 403)
    with pytest.raises(ObjectStoreError, match="AccessDenied") as found:
        store.names("")
    assert not isinstance(found.value, NoSuchObjectError)
