"""A report as one page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from cortexctl.compliance.finding import Item
from cortexctl.compliance.report import Criterion, Report, Result

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --faint: #5d6878; --line: #d9dee6; --page: #f6f7f9;
  --card: #fff; --good: #11703c; --bad: #b3261e; --none: #5d6878; --good-bg: #e5f4ea; --bad-bg: #fbe9e7;
  --none-bg: #eceff3 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --faint: #9aa5b5; --line: #333c49;
  --page: #14181e; --card: #1c222b; --good: #6fd79a; --bad: #ff9c92; --none: #9aa5b5; --good-bg: #17362a;
  --bad-bg: #432321; --none-bg: #2a323d } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px }
h1 { font-size: 26px; margin: 0 0 4px } h2 { font-size: 18px; margin: 36px 0 12px }
h3 { font-size: 15px; margin: 0 }
a { color: inherit; text-decoration-color: var(--faint); text-underline-offset: 2px }
p { margin: 4px 0 } .faint { color: var(--faint) }
.numbers { display: flex; gap: 12px; margin: 20px 0 0; flex-wrap: wrap }
.numbers div { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 18px; min-width: 132px }
.numbers b { display: block; font-size: 26px; line-height: 1.2 }
.passed { color: var(--good) } .failed { color: var(--bad) } .none { color: var(--none) }
.tag { font-size: 12px; font-weight: 600; border-radius: 10px; padding: 2px 10px; white-space: nowrap }
.tag.passed { background: var(--good-bg) } .tag.failed { background: var(--bad-bg) }
.tag.none { background: var(--none-bg) }
table { border-collapse: collapse; width: 100%; font-size: 13.5px }
th { text-align: left; font-weight: 600; color: var(--faint) }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top;
  hyphens: auto }
details td { overflow-wrap: anywhere }
tr:last-child td { border-bottom: 0 } td:last-child, th:last-child { padding-right: 0 }
td.state { white-space: nowrap; width: 1% } td.id { white-space: nowrap }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 18px;
  margin: 0 0 12px; break-inside: avoid }
section.failed { border-left: 4px solid var(--bad); color: inherit }
header.control { display: flex; gap: 12px; align-items: baseline; justify-content: space-between }
code { font: 12.5px ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere }
details { margin-top: 8px } summary { cursor: pointer; color: var(--faint) } details table { margin-top: 6px }
@media print { body { background: #fff } main { padding: 0 } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MARKS = {"passed": "passed", "failed": "failed", "not applicable": "none"}
FOLDED = 12  # items of a control that has not failed are folded when there are more


def render(report: Report) -> bytes:
    """Return the page (UTF-8)."""
    title = f"Compliance of {report.deployment}"
    order = sorted(report.controls, key=lambda one: one.outcome != "failed")
    body = (
        f"<h1>{_text(title)}</h1>"
        f'<p class="faint">{_text(report.id)} · {_text(report.made_at)} · by {_text(report.by)} · '
        f"controls <code>{_text(report.policy[:16])}</code></p>"
        f"{_numbers(report)}<h2>Criteria</h2>{_criteria(report.criteria)}"
        f"<h2>Controls</h2>{''.join(map(_control, order))}"
        '<p class="faint">Signed in report.json, which has the digest of this page: '
        "<code>cortexctl evidence verify report.json --public-key statements.pub</code></p>"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    ).encode()


def _numbers(report: Report) -> str:
    counts = (
        ("passed", report.passed, "passed"),
        ("failed", report.failed, "failed"),
        ("none", report.not_applicable, "not applicable"),
    )
    cells = "".join(f'<div><b class="{mark}">{count}</b>{name}</div>' for mark, count, name in counts)
    return f'<div class="numbers">{cells}</div>'


def _criteria(criteria: Iterable[Criterion]) -> str:
    rows = "".join(
        f'<tr><td class="id">{_text(one.id)}</td><td>{_text(one.title)}</td>'
        f"<td>{', '.join(_link(each) for each in one.controls)}</td>"
        f'<td class="state">{_tag(one.outcome)}</td></tr>'
        for one in criteria
    )
    head = "<tr><th>criterion</th><th></th><th>controls</th><th></th></tr>"
    return f"<section><table>{head}{rows}</table></section>"


def _control(one: Result) -> str:
    failed = one.outcome == "failed"
    parts = [
        f'<header class="control"><h3>{_text(one.title)}</h3>{_tag(one.outcome)}</header>',
        f'<p class="faint"><code>{_text(one.id)}</code> · {_text(", ".join(one.criteria))}</p>',
    ]
    if one.reason and not one.items:
        parts.append(f"<p>{_text(one.reason)}</p>")
    if one.remedy:
        parts.append(f"<p>What to do: <code>{_text(one.remedy)}</code></p>")
    parts.append(f'<p class="faint">Looked at {_text(one.looked_at)}, at {_text(one.at)}.</p>')
    if one.items:
        parts.append(_items(one.items, unfolded=failed or len(one.items) <= FOLDED))
    marked = ' class="failed"' if failed else ""
    return f'<section id="{_text(one.id)}"{marked}>{"".join(parts)}</section>'


def _items(items: list[Item], *, unfolded: bool) -> str:
    rows = "".join(map(_item, sorted(items, key=lambda item: item.ok)))
    head = "<tr><th></th><th>what</th><th>is</th><th>must be</th></tr>"
    good = sum(item.ok for item in items)
    summary = f"{good} of {len(items)} as they must be"
    opened = " open" if unfolded else ""
    return f"<details{opened}><summary>{summary}</summary><table>{head}{rows}</table></details>"


def _item(item: Item) -> str:
    digest = f'<br><code class="faint">sha256 {_text(item.digest)}</code>' if item.digest else ""
    mark = '<span class="passed">✓</span>' if item.ok else '<span class="failed">✗</span>'
    return (
        f'<tr><td class="state">{mark}</td><td>{_text(item.subject)}</td>'
        f"<td>{_text(item.observed)}{digest}</td><td>{_text(item.bound)}</td></tr>"
    )


def _tag(outcome: str) -> str:
    return f'<span class="tag {_MARKS[outcome]}">{_text(outcome)}</span>'


def _link(control: str) -> str:
    return f'<a href="#{_text(control)}">{_text(control)}</a>'


def _text(value: object) -> str:
    return escape(str(value), quote=True)
