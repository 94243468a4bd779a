"""How long the audit log is kept is set in a real database, never shorter unless that was allowed."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from cortex_runtime.formats.audit import unpack
from cortexctl.errors import Refused
from cortexctl.retention import database


@pytest.fixture
def conninfo(database_port: int) -> Iterator[str]:
    """The owner of a schema that keeps the audit log for seven years."""
    found = f"host=127.0.0.1 port={database_port} user=postgres dbname=cortexkg"
    yield found
    with psycopg.connect(found) as connection:
        connection.execute("insert into retention values ('audit', '7 years') on conflict (what)"
                           " do update set kept = '7 years'")  # fmt: skip
        connection.execute("truncate audit_segment")


def segments(conninfo: str) -> list[tuple[str, bytes]]:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("select tenant, content from audit_segment").fetchall()


@pytest.mark.parametrize(
    ("age", "shorter"),
    [("7 years", False), ("2557 days", False), ("2555 days", True), ("6 years", True), ("8 years", False)],
)
def test_what_is_shorter_is_told_by_the_calendar(conninfo: str, age: str, shorter: bool) -> None:
    # PostgreSQL itself takes a year for 360 days when it compares intervals.
    assert database.read(conninfo, age) == database.Found("7 years", shorter)


def test_a_longer_time_is_set_and_written_into_the_audit_log(conninfo: str) -> None:
    before = len(segments(conninfo))
    database.write(conninfo, "10 years", may_shorten=False)
    assert database.read(conninfo, "10 years") == database.Found("10 years", False)
    tenant, content = segments(conninfo)[-1]
    header, events = unpack(content)
    assert (tenant, header.tenant, len(segments(conninfo))) == ("", "", before + 1)
    assert (events[0].action, events[0].result) == ("retention.set", "done")
    assert events[0].reason == "10 years, was 7 years"
    database.write(conninfo, "10 years", may_shorten=False)
    assert len(segments(conninfo)) == before + 1


def test_a_shorter_time_is_refused_unless_it_is_allowed(conninfo: str) -> None:
    with pytest.raises(Refused, match="7 years, and 1 year is shorter"):
        database.write(conninfo, "1 year", may_shorten=False)
    assert database.read(conninfo, "7 years").kept == "7 years"
    assert segments(conninfo) == []
    database.write(conninfo, "1 year", may_shorten=True)
    assert database.read(conninfo, "1 year") == database.Found("1 year", False)


def test_a_database_that_does_not_say_is_refused(conninfo: str) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute("delete from retention")
    with pytest.raises(Refused, match="does not say"):
        database.write(conninfo, "7 years", may_shorten=True)
