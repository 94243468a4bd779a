"""Forwarding to real receivers: everything arrives, nothing is lost, and nobody holds up the others."""

from __future__ import annotations

import hmac
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex_runtime.formats.messages import AuditEvent
from cortexctl.audit.forwarding import configuration, delivery, forward, forwarder, read
from cortexctl.audit.forwarding.cursor import Cursor, Place
from cortexctl.audit.forwarding.delivery import NotDelivered, retry_after
from cortexctl.audit.forwarding.syslog import message
from cortexctl.audit.forwarding.webhook import address_of, signature
from cortexctl.errors import Locked, ObjectiveMissed, Refused, UsageError
from unit.commands import receivers
from unit.commands.forwarding_process import ExportSource
from unit.commands.receivers import OK, Answer, Received
from unit.commands.test_audit_verify import Export, forged, leaves

PROCESS = Path(__file__).with_name("forwarding_process.py")


@pytest.fixture
def export(tmp_path: Path) -> Export:
    found = Export(tmp_path / "export", leaves())
    found.write()
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "BATCH", 4)
    monkeypatch.setattr(delivery, "PAUSE", 0.01)


def ids(export: Export) -> list[str]:
    return [f"{segment.id}.{n}" for segment in export.segments for n in range(segment.events)]


def splunk(received: Received, **more: Any) -> dict[str, Any]:
    url = f"https://127.0.0.1:{received.port}/services/collector/event"
    return {
        "name": "siem",
        "kind": "splunk",
        "url": url,
        "token_file": "token",
        "ca": str(received.ca),
        **more,
    }


def webhook(received: Received, **more: Any) -> dict[str, Any]:
    url = f"https://127.0.0.1:{received.port}/hook"
    return {"name": "hook", "kind": "webhook", "url": url, "secret_file": "token", "ca": str(received.ca),
            "allow_private": True, **more}  # fmt: skip


def syslog(received: Received, **more: Any) -> dict[str, Any]:
    return {"name": "logs", "kind": "syslog", "host": "127.0.0.1", "port": received.port,
            "ca": str(received.ca), **more}  # fmt: skip


def configured(directory: Path, *sinks: dict[str, Any]) -> Path:
    (directory / "token").write_text("secret-of-mine\n")
    path = directory / "forward.yaml"
    path.write_text(yaml.safe_dump({"state": "state", "sinks": list(sinks)}))
    return path


def run(
    tmp_path: Path, export: Export, *sinks: dict[str, Any], patience: float = 20
) -> list[forwarder.Forwarded]:
    source = ExportSource(export.write())
    return forward(
        read(configured(tmp_path, *sinks)), source, "trial", follow=False, patience=patience, told=print
    )


def test_splunk_gets_every_event_once_and_a_second_run_sends_nothing(tmp_path: Path, export: Export) -> None:
    with receivers.https(tmp_path) as received:
        (done,) = run(tmp_path, export, splunk(received))
        assert (done.sent, done.failed) == (len(ids(export)), None)
        assert run(tmp_path, export, splunk(received))[0].sent == 0
    assert received.hec_ids() == ids(export)
    path, headers, body = received.requests[0]
    assert path == "/services/collector/event"
    assert headers["authorization"] == "Splunk secret-of-mine"
    first = json.loads(body.split(b"\n")[0])
    assert first["sourcetype"] == "cortexkg:audit" and first["host"] == "trial"
    assert first["event"]["sequence"] == 0 and first["time"] > 1_700_000_000


def test_splunks_indexer_acknowledgement_is_waited_for(tmp_path: Path, export: Export) -> None:
    def answer(number: int) -> Answer:
        if received.requests[-1][0].endswith("/ack"):
            return 200, {}, json.dumps({"acks": {"7": number % 3 == 0}}).encode()
        return 200, {}, b'{"text":"Success","code":0,"ackId":7}'

    with receivers.https(tmp_path, answer) as received:
        run(tmp_path, export, splunk(received))
    assert received.hec_ids() == ids(export)
    assert sum(path.endswith("/ack") for path, _, _ in received.requests) >= len(ids(export)) // 4


def test_webhooks_are_signed(tmp_path: Path, export: Export) -> None:
    with receivers.https(tmp_path) as received:
        run(tmp_path, export, webhook(received))
    assert received.hook_ids() == ids(export)
    for path, headers, body in received.requests:
        assert (path, headers["host"]) == ("/hook", f"127.0.0.1:{received.port}")
        moment, signed = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["cortexkg-signature"]).groups()  # type: ignore[union-attr]
        assert hmac.new(b"secret-of-mine", f"{moment}.".encode() + body, "sha256").hexdigest() == signed
        assert abs(int(moment) - time.time()) < 60
    assert signature(b"a", b"b", 1) != signature(b"a", b"c", 1)


def test_syslog_gets_messages_of_the_rfc_behind_their_lengths(tmp_path: Path, export: Export) -> None:
    with receivers.syslog(tmp_path) as received:
        run(tmp_path, export, syslog(received))
    assert received.syslog_ids() == ids(export)
    form = rb"<110>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z trial cortexkg - query"
    form += rb' \[audit@32473 id="[^"]+" .*\] \{.*\}'
    assert all(re.fullmatch(form, each) for each in received.messages)


def test_a_message_of_syslog_cannot_be_forged_by_what_is_in_it() -> None:
    event = AuditEvent(
        id="i", sequence=1, time="2026-01-01T00:00:00.000Z", tenant="acme", actor='a"] <110>1 forged \\',
        session=None, ip="", user_agent="ü", action="x y\n", resource="r", result="refused: x", reason=None,
        request_id="q",
    )  # fmt: skip
    found = message(event, "host name").decode()
    assert found.startswith("<108>1 2026-01-01T00:00:00.000Z host_name cortexkg - x_y_ [audit@32473 ")
    assert 'actor="a\\"\\] <110>1 forged \\\\"' in found
    assert found.count("\n") == 1  # what is made by nodes has none; a receiver goes by the length


@pytest.mark.parametrize("kind", ["splunk", "webhook", "syslog"])
def test_a_receiver_that_is_down_gets_everything_when_it_is_back(
    tmp_path: Path, export: Export, kind: str
) -> None:
    make = {"splunk": splunk, "webhook": webhook, "syslog": syslog}[kind]
    serve: Any = receivers.syslog if kind == "syslog" else receivers.https
    with serve(tmp_path) as gone:
        port = gone.port
    with pytest.raises(ObjectiveMissed) as found:
        run(tmp_path, export, make(gone), patience=0.2)
    assert found.value.exit_code == 3 and make(gone)["name"] in found.value.what
    with serve(tmp_path) as received:
        assert received.port != port
        run(tmp_path, export, make(received))
        assert {"splunk": received.hec_ids, "webhook": received.hook_ids, "syslog": received.syslog_ids}[
            kind
        ]() == ids(export)


def test_a_syslog_receiver_that_ends_without_reading_gets_it_again(tmp_path: Path, export: Export) -> None:
    with receivers.syslog(tmp_path, cut=lambda number: number in (1, 3)) as received:
        run(tmp_path, export, syslog(received))
    assert received.syslog_ids() == ids(export)


def test_429_is_waited_out_as_long_as_it_says(tmp_path: Path, export: Export) -> None:
    times: list[float] = []

    def answer(number: int) -> Answer:
        times.append(time.monotonic())
        return (429, {"retry-after": "1"}, b"") if number == 1 else (503, {}, b"") if number == 3 else OK

    with receivers.https(tmp_path, answer) as received:
        run(tmp_path, export, webhook(received))
    assert times[1] - times[0] >= 1.0
    assert list(dict.fromkeys(received.hook_ids())) == ids(export)
    assert retry_after("soon") is None and retry_after("²") is None
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_one_that_hangs_is_cut_and_holds_up_no_other(tmp_path: Path, export: Export) -> None:
    begun = time.monotonic()
    (tmp_path / "a").mkdir()
    with (
        receivers.https(tmp_path / "a", lambda number: (0, {}, b"")) as hanging,
        receivers.https(tmp_path) as received,
        pytest.raises(ObjectiveMissed) as found,
    ):
        run(tmp_path, export, splunk(hanging, timeout=0.5), webhook(received), patience=1.0)
    assert "siem" in found.value.what and "hook" not in found.value.what
    assert received.hook_ids() == ids(export)
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("answers", ['{"code":6,"text":"Invalid data"}', "not JSON"])
def test_a_collector_that_did_not_take_it_is_not_believed(
    tmp_path: Path, export: Export, answers: str
) -> None:
    with (
        receivers.https(tmp_path, lambda number: (200, {}, answers.encode())) as received,
        pytest.raises(ObjectiveMissed),
    ):
        run(tmp_path, export, splunk(received), patience=0.1)


def test_killed_between_sending_and_its_cursor_it_loses_nothing(tmp_path: Path, export: Export) -> None:
    def answer(number: int) -> Answer:
        if number == 1:
            process.kill()  # it has sent, and does not know yet that it was taken
            process.wait()
        return OK

    with receivers.https(tmp_path, answer) as received:
        words = [sys.executable, "-P", str(PROCESS), str(configured(tmp_path, webhook(received)))]
        environment = {"PYTHONPATH": str(PROCESS.parents[2])}
        process = subprocess.Popen([*words, str(export.write())], env=environment)
        assert process.wait(timeout=30) == -9
        subprocess.run([*words, str(export.write())], env=environment, check=True, timeout=30)
    got = received.hook_ids()
    assert list(dict.fromkeys(got)) == ids(export)
    assert len(got) > len(ids(export))


def test_an_altered_entry_is_not_forwarded(tmp_path: Path, export: Export) -> None:
    export.replace(3, content=forged(export.segments[3], "key:2"))
    with receivers.https(tmp_path) as received, pytest.raises(ObjectiveMissed, match="hook") as found:
        run(tmp_path, export, webhook(received))
    assert "leaf 3" in found.value.why
    assert set(received.hook_ids()) <= set(ids(export)[:6])


def test_a_log_that_lost_its_tail_is_told(tmp_path: Path, export: Export) -> None:
    with receivers.https(tmp_path) as received:
        run(tmp_path, export, webhook(received))
        del export.segments[5:]
        with pytest.raises(ObjectiveMissed) as found:
            run(tmp_path, export, webhook(received))
    assert "was cut" in found.value.why


def test_a_sink_takes_its_tenants_alone(tmp_path: Path, export: Export) -> None:
    with receivers.https(tmp_path) as received:
        assert run(tmp_path, export, webhook(received, tenants=["other"]))[0].sent == 0
    assert received.requests == []


PRIVATE = (
    "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1",
    "fd00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "100.64.0.1", "localhost",
)  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_a_webhook_of_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(NotDelivered, match="not public"):
        address_of(host, 443, allow_private=False)


def test_a_name_that_changes_its_address_wins_nothing(
    tmp_path: Path, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that was checked is the one that is connected to: the name is asked once for each batch."""
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("93.184.216.34" if len(asked) % 2 else "127.0.0.1", port))]

    monkeypatch.setattr("cortexctl.audit.forwarding.webhook.socket.getaddrinfo", resolve)
    assert address_of("rebinding.example", 443, allow_private=False) == "93.184.216.34"
    with pytest.raises(NotDelivered, match="not public"):
        address_of("rebinding.example", 443, allow_private=False)
    mixed = [(2, 1, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr("cortexctl.audit.forwarding.webhook.socket.getaddrinfo", lambda *_, **more: mixed)
    with pytest.raises(NotDelivered, match=r"10\.0\.0\.1"):
        address_of("mixed.example", 443, allow_private=False)


WRONG: list[dict[str, Any]] = [
    {}, {"sinks": []}, {"state": "s", "sinks": [{"kind": "other", "name": "a"}]},
    {"state": "s", "sinks": [{"kind": "webhook", "name": "a", "url": "http://x/", "secret_file": "t"}]},
    {"state": "s", "sinks": [{"kind": "webhook", "name": "../a", "url": "https://x/", "secret_file": "t"}]},
    {"state": "s", "sinks": [{"kind": "webhook", "name": "a", "url": "https://u@x/", "secret_file": "t"}]},
    {"state": "s", "sinks": [{"kind": "syslog", "name": "a", "host": "x", "more": 1}]},
    {"state": "s", "sinks": [{"kind": "syslog", "name": "a", "host": "x"}] * 2},
]  # fmt: skip


@pytest.mark.parametrize("content", WRONG)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "forward.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UsageError):
        read(path)


def test_secrets_are_one_word(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    for content in ("", "a b", "a\r\nx: y", "ü"):
        path.write_text(content)
        with pytest.raises(UsageError):
            configuration.secret(path)
    with pytest.raises(UsageError):
        configuration.secret(tmp_path / "none")


def test_a_cursor_that_is_damaged_is_told_and_two_do_not_forward_at_once(
    tmp_path: Path, export: Export
) -> None:
    path = tmp_path / "cursor.json"
    Cursor(path).advance("acme", Place(3, 9))
    assert Cursor(path)["acme"] == Place(3, 9) and Cursor(path)["other"] == Place()
    path.write_text("{")
    with pytest.raises(Refused):
        Cursor(path)

    def answer(number: int) -> Answer:
        with pytest.raises(Locked):
            run(tmp_path, export, webhook(received))
        return OK

    with receivers.https(tmp_path, answer) as received:
        run(tmp_path, export, webhook(received))
    assert received.hook_ids() == ids(export)
