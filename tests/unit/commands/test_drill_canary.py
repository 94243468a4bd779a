from __future__ import annotations

import time

import pytest

from cortexctl.drill import verification
from cortexctl.drill.canary import Canary
from cortexctl.drill.history import History
from unit.commands.service import Service


def watch(service: Service, rounds: int, *, writers: int = 3) -> History:
    canary = Canary(lambda: service, "drill-canary", "drill", writers=writers, rate=2000)  # type: ignore[arg-type,return-value]
    canary.start()
    until = time.monotonic() + 20
    while len(canary.history().rounds) < rounds and time.monotonic() < until:
        time.sleep(0.005)
    canary.stop()
    return canary.history()


def test_everything_acknowledged_is_there_and_numbered_once() -> None:
    service = Service()
    history = watch(service, 60)
    ids = [write.id for write in history.writes]
    assert len(set(ids)) == len(ids)
    assert {write.id for write in history.of("acknowledged")} == set(service.texts) == set(ids)
    assert all(one.good for one in history.rounds)


def test_a_lost_answer_is_followed_up_under_the_same_key() -> None:
    service = Service(lambda method, call: "lost" if method == "PUT" and call % 3 else "")
    history = watch(service, 80)
    assert max(write.attempts for write in history.writes) > 1
    assert sorted(service.puts) == sorted(set(service.puts)), "no write was done twice"
    assert {write.id for write in history.of("acknowledged")} == set(service.texts)


def test_a_refused_write_is_left_and_an_unknown_one_is_not_called_refused() -> None:
    answers = iter(["refused", "dropped", "refused", "refused"] + [""] * 100_000)
    service = Service(lambda method, call: next(answers) if method == "PUT" else "")
    history = watch(service, 20, writers=1)
    assert len(history.of("refused")) == 1
    assert history.of("acknowledged")[0].attempts == 4
    assert not {write.id for write in history.of("refused")} & set(service.texts)


def test_findings_name_what_is_gone_and_what_should_not_be() -> None:
    service = Service(lambda method, call: "refused" if method == "PUT" and call % 4 == 1 else "")
    history = watch(service, 60)
    gone, changed = (write.id for write in history.of("acknowledged")[:2])
    ghost = history.of("refused")[0].id
    del service.texts[gone]
    service.texts[changed] = "something else"
    service.texts[ghost] = "never acknowledged"
    service._fault = lambda method, call: ""
    found = verification.verify(history, service, {"n1": service}, lambda id_: f"/concepts/{id_}")  # type: ignore[arg-type,dict-item]
    assert set(found.missing) == {gone, changed}
    assert found.ghosts == ((ghost, "n1"),)


def test_an_answer_that_is_not_to_be_had_is_no_finding() -> None:
    service = Service()
    history = watch(service, 10)
    service._fault = lambda method, call: "refused"
    with pytest.raises(Exception, match="no node to ask"):
        verification.verify(history, service, {}, lambda id_: f"/concepts/{id_}")  # type: ignore[arg-type]
