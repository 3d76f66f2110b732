"""A comparison as one self-contained web page: no network, no library, figures as SVG."""

from __future__ import annotations

from evaltrace.reports.webpage.page import render_webpage

__all__ = ["render_webpage"]
