"""The converter of scripts/wordnet, on a few lines in the format of WordNet's files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "wordnet"
NOUN = """  1 This is a licence line of the file.
02083346 05 n 02 canine 0 canid 0 001 ~ 02084071 n 0000 | any of various fissiped mammals
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 02083346 n 0000 + 00000001 a 0101 | a "member"
"""
ADJECTIVE = """00000001 00 s 01 doglike(p) 0 001 & 02084071 n 0000 | like a dog; "é"
"""


def run(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--directory", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )


def write(directory: Path, adjective: str = ADJECTIVE) -> None:
    for name, content in (("noun", NOUN), ("adj", adjective), ("verb", ""), ("adv", "")):
        (directory / f"data.{name}").write_text(content)


def test_a_synset_becomes_a_line(tmp_path: Path) -> None:
    write(tmp_path)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["id"] for line in lines] == ["canine.n.02083346", "dog.n.02084071", "doglike.a.00000001"]
    assert lines[1] == {
        "id": "dog.n.02084071",
        "text": 'dog, domestic dog, Canis familiaris; a "member"',
        "properties": {
            "pos": "noun",
            "words": ["dog", "domestic dog", "Canis familiaris"],
            "lexfile": "noun.animal",
        },
        "relationships": [{"type": "hypernym", "target": "canine.n.02083346", "weight": 1.0}],
    }
    assert lines[2]["properties"] == {
        "pos": "adjective satellite",
        "words": ["doglike"],
        "lexfile": "adj.all",
    }
    assert "3 concepts, 3 relationships (1 pointers between single words left out)" in done.stderr


def test_what_is_not_wordnet_is_refused(tmp_path: Path) -> None:
    missing = run(tmp_path / "nowhere")
    write(tmp_path, adjective="not a line of WordNet\n")
    malformed = run(tmp_path)
    write(tmp_path, adjective=ADJECTIVE.replace("02084071", "09999999"))
    dangling = run(tmp_path)
    for done, complaint in (
        (missing, "cannot be read"),
        (malformed, "is not a WordNet 3.0 data file"),
        (dangling, "does not have"),
    ):
        assert done.returncode == 1
        assert complaint in done.stderr
        assert "Traceback" not in done.stderr
