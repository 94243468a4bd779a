from __future__ import annotations

import multiprocessing
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexctl import credentials, durable
from cortexctl.deployment import Deployment
from cortexctl.errors import Locked, Refused


def test_a_key_is_kept_for_its_deployment_and_tenant_alone(deployment: Deployment) -> None:
    credentials.save(deployment, "acme", "key-of-acme")
    credentials.save(deployment, "globex", "key-of-globex")
    other = replace(deployment, id="another")
    assert credentials.api_key(deployment, "acme") == "key-of-acme"
    assert credentials.api_key(deployment, "globex") == "key-of-globex"
    with pytest.raises(Refused, match="no API key"):
        credentials.api_key(other, "acme")


def test_a_later_key_replaces_the_former(deployment: Deployment) -> None:
    credentials.save(deployment, "acme", "first")
    credentials.save(deployment, "acme", "second")
    assert credentials.api_key(deployment, "acme") == "second"


def test_nobody_else_can_read_the_file(deployment: Deployment) -> None:
    path = credentials.save(deployment, "acme", "key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir() if entry.suffix == ".yaml"] == ["credentials.yaml"]


def test_a_file_others_can_read_is_closed_and_told(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    path = credentials.save(deployment, "acme", "key")
    path.chmod(0o644)
    assert credentials.api_key(deployment, "acme") == "key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "0644" in capsys.readouterr().err


def test_file_and_environment_override_what_is_kept(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.save(deployment, "acme", "kept")
    monkeypatch.setenv("CORTEXCTL_API_KEY", "of-environment")
    assert credentials.api_key(deployment, "acme") == "of-environment"
    file = tmp_path / "key"
    file.write_text("of-file\n")
    file.chmod(0o600)
    assert credentials.api_key(deployment, "acme", file=file) == "of-file"


@pytest.mark.parametrize("content", ["", "two words\n"])
def test_a_key_file_without_one_key_is_refused(deployment: Deployment, tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(Refused, match="holds no API key"):
        credentials.api_key(deployment, "acme", file=file)
    with pytest.raises(Refused, match="cannot be read"):
        credentials.api_key(deployment, "acme", file=tmp_path / "none")


@pytest.mark.parametrize(
    "content",
    [
        b"deployments: [",
        b"deployments: 3",
        b"- a",
        b"\xff\x00\x81",
        b"deployments: {trial-1234: {name: x}}",
        b"deployments: {trial-1234: {tenants: {acme: 5}}}",
    ],
)
def test_a_damaged_file_is_told_and_left_as_it_is(deployment: Deployment, content: bytes) -> None:
    path = credentials.path()
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(Refused, match="damaged"):
        credentials.api_key(deployment, "acme")
    with pytest.raises(Refused, match="damaged"):
        credentials.save(deployment, "acme", "key")
    assert path.read_bytes() == content


@given(content=st.binary(max_size=200))
def test_no_content_gets_past_the_check(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("credentials") / "credentials.yaml"
    path.write_bytes(content)
    path.chmod(0o600)
    try:
        found = credentials._read(path)
    except Refused:
        return
    assert all(isinstance(entry["tenants"], dict) for entry in found.values())


def test_concurrent_saves_lose_nothing(deployment: Deployment) -> None:
    context = multiprocessing.get_context("fork")
    names = [f"tenant-{index}" for index in range(12)]
    workers = [
        context.Process(target=credentials.save, args=(deployment, name, f"key-{name}")) for name in names
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * len(names)
    assert {name: credentials.saved(deployment, name) for name in names} == {
        name: f"key-{name}" for name in names
    }


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    durable.write(path, b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        durable.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_held_lock_is_told(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with durable.exclusive(lock, "It"), pytest.raises(Locked), durable.exclusive(lock, "It"):
        pass
    with durable.exclusive(tmp_path / "lock", "It"):
        pass
