"""Compliance: controls that are checked, reviews that are recorded, reports that are signed."""

from cortexctl.compliance.page import render as render_page
from cortexctl.compliance.report import Report, make, verdict, write
from cortexctl.compliance.reviews import Access, Review, record, seen
from cortexctl.compliance.source import Source

__all__ = [
    "Access",
    "Report",
    "Review",
    "Source",
    "make",
    "record",
    "render_page",
    "seen",
    "verdict",
    "write",
]
