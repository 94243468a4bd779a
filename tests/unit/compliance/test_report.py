"""Reports: of a deployment that does not answer, on a page, signed; and reviews."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from cortex_runtime.formats.statements import Subject
from cortexctl import compliance, evidence, policies
from cortexctl.compliance import controls, page, report, reviews
from cortexctl.compliance.checks import CHECKS
from cortexctl.compliance.finding import Item
from cortexctl.compliance.report import Report
from cortexctl.compliance.reviews import Access
from cortexctl.deployment import Deployment
from cortexctl.errors import ObjectiveMissed, Refused
from cortexctl.platforms.local import LocalPlatform

from .facts import CASES, NOW

SEEN_WITHOUT_THE_SERVICE = {"operator-credentials", "certificates-last"}


def cortexctl(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "cortexctl.main", *map(str, words)]
    return subprocess.run(
        command, text=True, capture_output=True, timeout=120, check=False, env=os.environ,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def controls_file() -> Path:
    return policies.find("compliance.yaml")


def made(**change: object) -> Report:
    """Return a report with everything passed but what is changed, by control: other facts, or an error."""
    results = []
    for control in controls.load().all:
        facts = change.get(control.id.replace("-", "_"), CASES[control.id][0])

        def read(_: object, found: object = facts) -> object:
            if isinstance(found, Exception):
                raise found
            return found

        check = replace(CHECKS[control.check], read=read)
        results.append(report.examine(control, check, SimpleNamespace(now=NOW)))  # type: ignore[arg-type]
    deployment = SimpleNamespace(name="trial", id="trial-1")
    return report.whole(deployment, controls.load(), results)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error", [OSError("no route"), ValueError("no time"), Refused("No.", why="Shut."), KeyError("what"),
              ZeroDivisionError("a bug of ours")],
)  # fmt: skip
def test_what_cannot_be_read_has_failed_and_the_others_are_told(error: Exception) -> None:
    found = made(audit_fresh=error)
    assert (found.outcome, found.failed, found.not_applicable) == ("failed", 1, 0)
    one = next(each for each in found.controls if each.outcome == "failed")
    assert (one.id, one.items) == ("audit-fresh", [])
    assert one.reason.startswith("could not be read: ")
    assert len(one.reason) > len("could not be read: ")
    failed = {each.id for each in found.criteria if each.outcome == "failed"}
    assert failed == {"CC7.2", "CC7.3", "GDPR 33"}
    with pytest.raises(ObjectiveMissed, match="1 of 28 controls"):
        compliance.verdict(found)


def test_all_passed_is_no_error() -> None:
    found = made()
    assert (found.outcome, found.passed, found.failed) == ("passed", len(CASES), 0)
    assert {each.outcome for each in found.criteria} == {"passed"}
    compliance.verdict(found)


def test_a_criterion_of_which_nothing_applies_is_not_passed() -> None:
    found = made(room_left=[])
    assert {each.id: each.outcome for each in found.criteria}["A1.1"] == "not applicable"
    assert found.outcome == "passed"


class Page(HTMLParser):
    """Collects the tags, the text, and the links of a page."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert name not in ("src", "onclick", "onerror")
            if name == "href":
                self.links.add(str(value))
            if name == "id":
                self.anchors.add(str(value))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_every_control_and_item_and_needs_nothing_else() -> None:
    found = made(backups_recent=[], leaving_proven=replace(CASES["leaving-proven"][0], tenants=[]))
    shown = Page(compliance.render_page(found))
    for one in found.controls:
        assert one.title in shown.text
        assert one.id in shown.anchors
        assert all(item.observed in shown.text and item.subject in shown.text for item in one.items)
    assert {link.removeprefix("#") for link in shown.links} == shown.anchors
    assert not {"script", "img", "link", "iframe"} & set(shown.tags)
    assert "http" not in re.sub("http-equiv", "", compliance.render_page(found).decode())
    assert "no backup is registered" in shown.text and "register_backup" in shown.text
    assert "No tenant has left." in shown.text
    assert shown.text.index("There is a backup of the last day") < shown.text.index("Keys are changed")


def test_nothing_of_what_was_seen_is_read_as_a_page() -> None:
    evil = "<script>alert('x')</script>\"><img src=x onerror=y>&amp;"
    item = Item(subject=evil, observed=evil, bound=evil, ok=False, digest=evil)
    found = made()
    one = msgspec.structs.replace(
        found.controls[0], outcome="failed", items=[item], id="x", title=evil, reason=evil, remedy=evil,
        looked_at=evil, at=evil, criteria=[evil],
    )  # fmt: skip
    whole = msgspec.structs.replace(found, controls=[one], criteria=[], deployment=evil, id=evil, by=evil)
    content = page.render(whole)
    assert b"<script" not in content and b"<img" not in content
    shown = Page(content)
    assert not {"script", "img"} & set(shown.tags)
    assert shown.text.count(evil) >= 10


def test_a_report_is_signed_and_has_the_digest_of_its_page(deployment: Deployment, tmp_path: Path) -> None:
    place, found = tmp_path / "a" / "b", made()
    content = compliance.render_page(found)
    for _ in range(2):  # over an older one, too
        written = compliance.write(deployment, found, content, place)
    assert {path.name for path in place.iterdir()} == {"report.json", "report.html"}
    statement = evidence.verify(written["report"], evidence.key_paths(deployment)["public_key"]).statement
    assert statement.predicateType == "https://cortexkg/compliance/v1"
    assert msgspec.convert(statement.predicate, Report) == found
    digests = {one.name: one.digest.get("sha256") for one in statement.subject}
    files = {"report.html": place / "report.html", "policies/compliance.yaml": controls_file()}
    for name, path in files.items():
        assert digests[name] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert cortexctl("evidence", "verify", written["report"]).returncode == 0
    written["report"].write_bytes(written["report"].read_bytes().replace(b'"sig": "', b'"sig": "AAAA'))
    assert cortexctl("evidence", "verify", written["report"]).returncode == 3
    with pytest.raises(Refused, match="cannot be written"):
        compliance.write(deployment, found, content, place / "report.html")


def test_a_deployment_that_does_not_answer_gets_a_report_that_says_so(
    deployment: Deployment, tmp_path: Path
) -> None:
    done = cortexctl("compliance", "report", "--to", tmp_path / "out", "--output", "json")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    outcomes = {one["id"]: one["outcome"] for one in found["controls"]}
    assert {id_ for id_, outcome in outcomes.items() if outcome == "passed"} == SEEN_WITHOUT_THE_SERVICE
    assert set(outcomes.values()) == {"passed", "failed"}
    unread = {one["id"]: one["reason"] for one in found["controls"] if "could not be read" in one["reason"]}
    assert {"audit-verifies", "row-level-security", "rows-sealed", "retention-set"} <= set(unread)
    assert cortexctl("evidence", "verify", tmp_path / "out" / "report.json").returncode == 0
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_a_report_that_cannot_be_signed_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    (deployment.operator_directory / "statements.key").unlink()
    done = cortexctl("compliance", "report", "--to", tmp_path / "out")
    assert done.returncode == 5
    assert "cannot be signed" in done.stderr
    assert not (tmp_path / "out").exists()


def test_words_that_are_off(deployment: Deployment) -> None:
    for words in (
        ("review",),
        ("review", "--by", ""),
        ("review", "--by", "a\nb"),
        ("report", "--to"),
        ("x",),
    ):
        done = cortexctl("compliance", *words)
        assert done.returncode == 2, done.stderr
    done = cortexctl("--deployment", "nobody", "compliance", "report")
    assert (done.returncode, done.stdout) == (5, "")
    assert cortexctl("compliance", "review", "--by", "ada", "--yes").returncode == 5  # nothing answers


def test_a_review_is_kept_signed_and_the_newest_one_counts(deployment: Deployment) -> None:
    seen = Access(api_keys={"acme": []}, roles={"reader": ["query"]}, credentials=[])
    for name in ("Ada", "Grace"):
        _, path = reviews.record(deployment, seen, name)
    kept = evidence.kept(deployment, "review")
    assert [one.statement.predicate["by"] for one in kept if one.statement] == ["Ada", "Grace"]
    assert kept[-1].path == path
    path.write_bytes(path.read_bytes().replace(b'"sig": "', b'"sig": "AAAA'))
    assert "not signed" in evidence.kept(deployment, "review")[-1].trouble
    # A statement of another kind, renamed, is none of a review.
    other = evidence.keep(deployment, "x", "drill", Subject("d", {}), {"by": "Eve"})
    other.rename(other.with_name("review-9.json"))
    assert "of the type" in evidence.kept(deployment, "review")[-1].trouble


def test_what_listens_where_is_seen(deployment: Deployment) -> None:
    found = {one.port: one for one in LocalPlatform(deployment).listeners()}
    assert all(one.name and not one.addresses and not one.encrypted for one in found.values())
    database = deployment.regions[0].postgres_port
    with (
        socket.create_server(("0.0.0.0", database)),
        socket.create_server(("::1", deployment.last_port), family=socket.AF_INET6),
    ):
        found = {one.port: one for one in LocalPlatform(deployment).listeners()}
    assert (found[database].addresses, found[database].encrypted) == (("0.0.0.0",), False)
    unknown = found[deployment.last_port]
    assert (unknown.name, unknown.addresses) == ("", ("::1",))
