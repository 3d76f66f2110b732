"""The totals of a store as Prometheus metrics: read whenever they are asked for.

Needs the package prometheus-client, but for `read_totals`.
"""

from evaltrace.metrics.serving import address_of, open_server, render_exposition
from evaltrace.metrics.totals import Totals, read_totals

__all__ = ["Totals", "address_of", "open_server", "read_totals", "render_exposition"]
