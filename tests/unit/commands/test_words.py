"""What the words of a call become, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_runtime.formats.messages import Concept, ConceptBody, Relationship
from cortexctl import access, audit, concepts, inputs
from cortexctl.deployment import Deployment
from cortexctl.drill import scenario, targets
from cortexctl.errors import UsageError
from cortexctl.importing import lines

NOW = datetime(2030, 1, 2, 12, tzinfo=UTC)

REFUSED: list[Callable[[], Any]] = [
    lambda: inputs.tenant("ab"),
    lambda: inputs.tenant("-abc"),
    lambda: inputs.tenant("a" * 41),
    lambda: inputs.cortex("../main"),
    lambda: inputs.cortex("Main"),
    lambda: inputs.concept(""),
    lambda: inputs.concept("a\nb"),
    lambda: inputs.concept("x" * 257),
    lambda: inputs.concept("\ud800"),
    lambda: concepts.put("id", "", [], []),
    lambda: concepts.put("id", "text", ["nonsense"], []),
    lambda: concepts.put("id", "text", ["=x"], []),
    lambda: concepts.put("id", "text", [], ["nonsense"]),
    lambda: concepts.put("id", "text", [], ["t=c@2"]),
    lambda: concepts.put("id", None, [], []),
    lambda: concepts.put("id", "text", [], [], parent="a\n"),
    lambda: concepts.put("id", "text", [], ["inherits=a"], parent="b"),
    lambda: concepts.put("id", None, [], [], vector="/nowhere"),
    lambda: inputs.only_one("a", "a", "TEXT", "--text"),
    lambda: concepts.relate("a", "t", "b", 0.0),
    lambda: concepts.relate("a", "t", "b", float("nan")),
    lambda: concepts.relate("a", "", "b", 1.0),
    lambda: concepts.question("", 5, 0, 0.5),
    lambda: concepts.question("text", 0, 0, 0.5),
    lambda: concepts.question("text", 5, 4, 0.5),
    lambda: concepts.question("text", 5, 0, 0.0),
    lambda: concepts.question(None, 5, 0, 0.5),
    lambda: concepts.question("text", 5, 0, 0.5, vector="/nowhere"),
    lambda: concepts.question("text", 5, 0, 0.5, where=["nonsense"]),
    lambda: concepts.question("text", 5, 0, 0.5, where=["a=null"]),
    lambda: concepts.question("text", 5, 0, 0.5, where=['a={"b": 1}']),
    lambda: concepts.question("text", 5, 0, 0.5, budget=0),
    lambda: audit.since("yesterday", NOW),
    lambda: audit.since("1w", NOW),
    lambda: lines.check_limit(1001),
]


@pytest.mark.parametrize("call", REFUSED, ids=range(len(REFUSED)))
def test_it_is_refused_before_anything_is_sent(call: Callable[[], Any]) -> None:
    with pytest.raises(UsageError) as error:
        call()
    assert error.value.exit_code == 2


def test_properties_keep_their_type_and_relationships_their_weight() -> None:
    change = concepts.put(
        "id", "text", ["n=3", "w=three", "l=[1,2]", "e="], ["is-a=b@0.5", "knows=c@d", "of=e"]
    )
    assert isinstance(change.body, ConceptBody)
    assert change.body.properties == {"n": 3, "w": "three", "l": [1, 2], "e": ""}
    assert [(edge.type, edge.target, edge.weight) for edge in change.body.relationships] == [
        ("is-a", "b", 0.5),
        ("knows", "c@d", 1.0),
        ("of", "e", 1.0),
    ]


def test_a_filter_has_the_values_of_every_option_with_its_key() -> None:
    words = ["legs=4", "color=brown", "legs=[2,3]", "wild=true", 'name="4"']
    asked = concepts.question("text", 5, 0, 0.5, where=words, budget=7, exact=True)
    assert asked.where == {"legs": [4, 2, 3], "color": ["brown"], "wild": [True], "name": ["4"]}
    assert (asked.budget, asked.exact) == (7, True)


@pytest.mark.parametrize("content", ["", "[1,", "[NaN]", "[1e999]", '["1"]', "{}", "[]", "\ud800"])
def test_a_vector_is_a_json_array_of_numbers(content: str, tmp_path: Path) -> None:
    path = tmp_path / "vector.json"
    path.write_text(content, errors="surrogatepass")
    with pytest.raises(UsageError):
        concepts.put("id", None, [], [], vector=str(path))
    path.write_text("[1, -0.5, 2e-3]")
    change = concepts.put("id", None, [], [], vector=str(path), parent="b")
    assert isinstance(change.body, ConceptBody)
    assert (change.body.vector, change.body.parent) == ([1, -0.5, 0.002], "b")
    assert concepts.preview("acme", "main", change)["body"] == {"vector": [1, -0.5, 0.002], "parent": "b"}


def test_a_concept_is_shown_with_where_each_property_comes_from() -> None:
    concept = Concept(
        id="penguin", text=None, properties={"legs": 2, "alive": True}, column=7, key_version=1,
        relationships=[Relationship(type="inherits", target="bird"),
                       Relationship(type="eats", target="fish", weight=0.5)],
        own_properties={"flies": None, "legs": 2}, inherited={"alive": "animal"},
        ancestors=["bird", "animal"], dimension=3,
    )  # fmt: skip
    assert concepts.shown(concept) == {
        "id": "penguin", "text": None, "vector": "3 numbers", "column": 7, "inherits from": "bird -> animal",
        "property alive": "true (from animal)", "property legs": "2",
        "property flies": "- (an exception: not inherited)", "inherits ->": ["bird"],
        "eats ->": ["fish (0.5)"], "key version": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("90s", "2030-01-02T11:58:30.000+00:00"),
        ("1h", "2030-01-02T11:00:00.000+00:00"),
        ("7d", "2029-12-26T12:00:00.000+00:00"),
        ("2030-01-01", "2030-01-01T00:00:00.000+00:00"),
        ("2030-01-01T10:00:00+02:00", "2030-01-01T10:00:00.000+02:00"),
    ],
)
def test_since_is_an_age_or_a_time(text: str, since: str) -> None:
    assert audit.since(text, NOW) == since


@given(id_=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64))
def test_an_id_is_one_step_of_a_path(id_: str) -> None:
    path = access.cortex_path("acme", "main", "concepts", id_)
    last = path.rsplit("/", 1)[1]
    assert path.count("/") == 7
    assert last not in {".", ".."}
    assert unquote(last) == id_
    assert not set("?# ") & set(last)


@pytest.mark.parametrize(
    ("drill", "region", "node"),
    [
        ("region-loss", "mars", None),
        ("region-loss", None, "eu-west-1"),
        ("node-loss", None, "mars-1"),
        ("node-loss", "eu-west", None),
    ],
)
def test_a_target_that_does_not_fit_the_drill(
    deployment: Deployment, drill: str, region: str | None, node: str | None
) -> None:
    with pytest.raises(UsageError):
        targets.check(deployment, scenario.load(drill), region, node)


def test_a_target_that_fits(deployment: Deployment) -> None:
    assert targets.check(deployment, scenario.load("region-loss"), "us-east", None) == "us-east"
    assert targets.check(deployment, scenario.load("node-loss"), None, "us-east-2") == "us-east-2"
    assert targets.check(deployment, scenario.load("node-loss"), None, None) is None
