"""Rego in this process: regopy, which is rego-cpp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
from regopy import Input, Interpreter
from regopy.rego_shared import LogLevel, RegoError

from cortex_runtime.formats import decoding
from cortexctl.errors import CortexctlError
from cortexctl.policy import rules as ruling
from cortexctl.policy.facts import Facts
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


class Judge:
    """Rules that are ready to look at plans, or at manifests, of one deployment. For one thread."""

    def __init__(self, rules: Sequence[Rule], facts: Facts) -> None:
        """Compile the rules. Raises CortexctlError when one is broken."""
        self._rules = rules
        self._interpreter = Interpreter()
        self._interpreter.log_level = LogLevel.NONE  # it would print to stdout
        try:
            for name, source in _modules(rules):
                self._interpreter.add_module(name, source)
            self._interpreter.add_data({"deployment": escaped(msgspec.to_builtins(facts))})
            self._bundle = self._interpreter.build(None, [_entry(rule) for rule in rules])
        except RegoError as error:
            raise _broken("The rules", error) from error

    def judge(self, matter: Matter) -> tuple[Verdict, ...]:
        """Return the verdict of each rule. Raises CortexctlError when a rule fails: that is no pass."""
        return tuple(Verdict(rule, matter.seen_by(rule), self._denials(rule, matter)) for rule in self._rules)

    def _denials(self, rule: Rule, matter: Matter) -> tuple[Denial, ...]:
        try:
            self._interpreter.set_input(Input(matter.document(rule)))
            answer = str(self._interpreter.query_bundle_entrypoint(self._bundle, _entry(rule)))
            found = msgspec.json.decode(answer, type=_Answer).expressions[0]
        except (RegoError, ValueError) as error:
            raise _broken(f"The rule {rule.name}", error) from error
        return tuple(sorted(found, key=lambda each: (each.address, each.message)))


def _modules(rules: Sequence[Rule]) -> Iterator[tuple[str, str]]:
    yield from ruling.libraries()
    yield from ((str(rule.path), rule.source) for rule in rules)


def _entry(rule: Rule) -> str:
    return f"{rule.subject}/{rule.name}/deny"


def _broken(what: str, error: Exception) -> CortexctlError:
    return CortexctlError(
        f"{what} could not be evaluated.",
        why=" ".join(str(error).split())[:500],
        todo="Mend the files of policies/rego; nothing was judged.",
    )


decoding.learn(globals())
