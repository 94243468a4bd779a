"""Rego in this process: regopy, which is rego-cpp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from regopy import Input, Interpreter
from regopy.rego_shared import LogLevel, RegoError

from cortex_runtime.formats import decoding
from cortexctl.errors import CortexctlError
from cortexctl.policy import rules as ruling
from cortexctl.policy.matter import Matter, escaped
from cortexctl.policy.rules import Rule


class Denial(msgspec.Struct, frozen=True):
    """One denial: of what (address or kind and name), and what is wrong and mends it, in one line."""

    address: str
    message: str = msgspec.field(name="msg")


class _Answer(msgspec.Struct, frozen=True):
    expressions: tuple[list[Denial]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says: what it has looked at, and its denials."""

    rule: Rule
    seen: tuple[str, ...]
    denials: tuple[Denial, ...]


def judge(matter: Matter, rules: Sequence[Rule], facts: Any) -> tuple[Verdict, ...]:
    """Return the verdict of each rule. Raises CortexctlError when a rule fails: that is no pass."""
    interpreter = Interpreter()
    interpreter.log_level = LogLevel.NONE  # it would print to stdout
    try:
        for name, source in _modules(rules):
            interpreter.add_module(name, source)
        interpreter.add_data({"deployment": escaped(msgspec.to_builtins(facts))})
        bundle = interpreter.build(None, [_entry(rule) for rule in rules])
    except RegoError as error:
        raise _broken("The rules", error) from error
    return tuple(_verdict(interpreter, bundle, rule, matter) for rule in rules)


def _modules(rules: Sequence[Rule]) -> Iterator[tuple[str, str]]:
    yield from ruling.libraries()
    yield from ((str(rule.path), rule.source) for rule in rules)


def _entry(rule: Rule) -> str:
    return f"{rule.subject}/{rule.name}/deny"


def _verdict(interpreter: Interpreter, bundle: Any, rule: Rule, matter: Matter) -> Verdict:
    try:
        interpreter.set_input(Input(matter.document(rule)))
        answer = str(interpreter.query_bundle_entrypoint(bundle, _entry(rule)))
        denials = msgspec.json.decode(answer, type=_Answer).expressions[0]
    except (RegoError, ValueError) as error:
        raise _broken(f"The rule {rule.name}", error) from error
    return Verdict(rule, matter.seen_by(rule), tuple(sorted(denials, key=lambda each: each.address)))


def _broken(what: str, error: Exception) -> CortexctlError:
    return CortexctlError(
        f"{what} could not be evaluated.",
        why=" ".join(str(error).split())[:500],
        todo="Mend the files of policies/rego; nothing was judged.",
    )


decoding.learn(globals())
