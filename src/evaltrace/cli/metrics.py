"""`evaltrace metrics`: what a store holds, in numbers that Prometheus reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evaltrace.cli.storing import store_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@store_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=9464,
    show_default=True,
    help="Port to listen on; 0 takes a free one and says which.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Whoever reaches it reads the metrics: there is no password.",
)
@click.option("--once", is_flag=True, help="Print the metrics and end.")
def metrics(store: Path | None, port: int, host: str, once: bool) -> None:
    """Serve the metrics of a store to Prometheus until interrupted.

    The store is read anew at each scrape: runs by intent and status, tokens and cost by
    model, errors by cause, events by type, and how long the steps of each agent took.

    \b
    Example:
      evaltrace metrics --port 9464
      evaltrace metrics --store runs.db --once > textfile/evaltrace.prom
    """
    from evaltrace.metrics import render_exposition

    if once:
        click.echo(render_exposition(store), nl=False)
        return
    _serve(store, port, host)


def _serve(store: Path | None, port: int, host: str) -> None:
    from evaltrace.metrics import address_of, open_server

    with open_server(store, port, host=host, report=_warn) as server:
        click.echo(f"Metrics at {address_of(server)} (Ctrl-C ends)", err=True)
        server.serve_forever()


def _warn(line: str) -> None:
    from evaltrace.untrusted import printable

    click.echo(printable(f"Warning: {line}"), err=True)
