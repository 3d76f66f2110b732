"""Reports of a comparison that programs read: JSON, JUnit XML, GitHub's workflow commands."""

from evaltrace.reports.machine.github import render_github
from evaltrace.reports.machine.json_file import render_json
from evaltrace.reports.machine.junit import render_junit

__all__ = ["render_github", "render_json", "render_junit"]
