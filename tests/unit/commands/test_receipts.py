"""A receipt of offboarding by itself: signed, and the audit log has the leaving; else it is told why."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cortex_runtime.formats import merkle
from cortex_runtime.formats.audit import Event, pack
from cortex_runtime.formats.messages import AuditInclusion
from cortex_runtime.formats.statements import Statement, Subject, sign
from cortexctl import evidence
from cortexctl.errors import ObjectiveMissed, UsageError
from unit.commands.test_audit_verify import NOW, PRIVATE, PUBLIC, key_pair, leaf_of, leaves, signed

STATEMENTS_PRIVATE, STATEMENTS_PUBLIC = key_pair()
Change = Callable[[dict[str, Any]], object]


def inclusion(action: str = "tenant.purge", tenant: str = "acme") -> AuditInclusion:
    """Return a proof of an event, the last of a log of eight leaves."""
    event = Event(
        action=action, actor="operator:1", request_id="9", resource=f"tenants/{tenant}", result="done",
        tenant=tenant, time=NOW,
    )  # fmt: skip
    log = leaves()
    (segment,) = pack("n", [event])
    log.append(leaf_of(len(log), 18, segment.content, str(segment.id), 1))
    hashes = [bytes.fromhex(each.hash) for each in log]
    proof = [merkle.root(hashes[a:b]).hex() for a, b in merkle.inclusion_ranges(len(log) - 1, len(log))]
    return AuditInclusion(
        event=f"{segment.id}.0", segment=log[-1], hashes=proof, checkpoint=signed(log, tenant=tenant)
    )


def statement(proof: AuditInclusion | None) -> dict[str, Any]:
    made = Statement(
        subject=[Subject("tenant/acme", {})], predicateType="https://cortexkg/offboarding/v1",
        predicate={"tenant": "acme", **({"proof": proof} if proof else {})},
    )  # fmt: skip
    return _payload(sign(made, STATEMENTS_PRIVATE))


def _payload(envelope: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return found


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "statements.pub", tmp_path / "audit.pub"
    paths[0].write_bytes(STATEMENTS_PUBLIC)
    paths[1].write_bytes(PUBLIC)
    return paths


def written(tmp_path: Path, content: dict[str, Any]) -> Path:
    """Sign it with the right key, whatever it says: so that only the proof can tell."""
    path = tmp_path / "receipt.json"
    made = Statement(
        subject=[Subject("tenant/acme", {})], predicateType=content["predicateType"],
        predicate=content["predicate"],
    )  # fmt: skip
    path.write_bytes(sign(made, STATEMENTS_PRIVATE))
    return path


def flipped(text: str, at: int = 0) -> str:
    return text[:at] + ("B" if text[at] != "B" else "C") + text[at + 1 :]


def content(proof: dict[str, Any]) -> None:
    raw = bytearray(base64.b64decode(proof["segment"]["content"]))
    raw[len(raw) // 2] ^= 1
    proof["segment"]["content"] = base64.b64encode(bytes(raw)).decode()


def leaf(proof: dict[str, Any]) -> None:
    proof["segment"]["hash"] = f"{int(proof['segment']['hash'], 16) ^ 1:064x}"


def path_of(proof: dict[str, Any]) -> None:
    proof["hashes"][1] = f"{int(proof['hashes'][1], 16) ^ 1:064x}"


def root(proof: dict[str, Any]) -> None:
    lines = proof["checkpoint"].split("\n")
    lines[2] = flipped(lines[2])
    proof["checkpoint"] = "\n".join(lines)


def signature(proof: dict[str, Any]) -> None:
    proof["checkpoint"] = flipped(proof["checkpoint"], proof["checkpoint"].rindex(" ") + 20)


FORGERIES: list[tuple[Change, str]] = [
    (content, "content was altered"),
    (leaf, "do not lead to the root"),
    (path_of, "do not lead to the root"),
    (root, "no signature of it is by the key"),
    (signature, "no signature of it is by the key"),
    (lambda proof: proof["hashes"].pop(), "do not lead to the root"),
    (lambda proof: proof["segment"].update(leaf=3), "do not lead to the root"),
    (lambda proof: proof.update(event=proof["event"][:-1] + "1"), "is not one of segment"),
    (lambda proof: proof["segment"].update(content=None), "is no end of a leaving"),
    (lambda proof: proof.pop("hashes"), "no proof of inclusion"),
]


def test_a_receipt_is_believed_with_the_event_that_the_log_has(
    tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    found = evidence.verify(written(tmp_path, statement(inclusion())), *keys)
    assert found.leaving is not None
    assert found.leaving.event is not None
    assert (found.leaving.tenant, found.leaving.event.action) == ("acme", "tenant.purge")


@pytest.mark.parametrize(("change", "why"), FORGERIES)
def test_whatever_is_off_in_what_is_signed_is_told(
    tmp_path: Path, keys: tuple[Path, Path], change: Change, why: str
) -> None:
    forged = statement(inclusion())
    change(forged["predicate"]["proof"])
    with pytest.raises(ObjectiveMissed) as found:
        evidence.verify(written(tmp_path, forged), *keys)
    assert why in found.value.why


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        (inclusion(action="tenant.suspend"), "is no end of a leaving"),
        (inclusion(tenant="other"), "the proof of 'other'"),
        (None, "no proof of inclusion"),
    ],
)
def test_a_true_proof_of_something_else_is_none(
    tmp_path: Path, keys: tuple[Path, Path], proof: AuditInclusion | None, why: str
) -> None:
    with pytest.raises(ObjectiveMissed) as found:
        evidence.verify(written(tmp_path, statement(proof)), *keys)
    assert why in found.value.why


def test_a_log_that_another_key_signs_proves_nothing(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    keys[1].write_bytes(key_pair()[1])
    with pytest.raises(ObjectiveMissed, match="proves nothing"):
        evidence.verify(written(tmp_path, statement(inclusion())), *keys)
    assert PRIVATE != STATEMENTS_PRIVATE
    with pytest.raises(UsageError, match="audit log"):
        evidence.verify(written(tmp_path, statement(inclusion())), keys[0])


def verify(*words: str | Path) -> tuple[int, str]:
    command = [sys.executable, "-P", "-m", "cortexctl.main", "evidence", "verify", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, " ".join((done.stderr if done.returncode else done.stdout).split())


def test_the_command_line_tells_by_its_exit_code(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    receipt = written(tmp_path, statement(inclusion()))
    words = (receipt, "--public-key", keys[0], "--audit-key", keys[1])
    code, shown = verify(*words)
    assert code == 0
    assert "tenant.purge" in shown
    assert verify(*words[:3])[0] == 2
    for forge, why in ((content, "content was altered"), (path_of, "root"), (signature, "signature")):
        forged = statement(inclusion())
        forge(forged["predicate"]["proof"])
        written(tmp_path, forged)
        code, told = verify(*words)
        assert (code, why in told) == (3, True), told
    raw = written(tmp_path, statement(inclusion())).read_text()
    at = raw.index('"payload": "') + 300
    receipt.write_text(flipped(raw, at))
    code, told = verify(*words)
    assert (code, "not signed by this key" in told) == (3, True), told
