"""`evaltrace schema`: the contract of the files that evaltrace writes."""

from __future__ import annotations

import click


@click.group()
def schema() -> None:
    """Print the JSON Schemas (2020-12) of the files that evaltrace writes.

    \b
    Example:
      evaltrace schema list
      evaltrace schema show trace > trace.schema.json
    """


@schema.command("list")
def list_schemas() -> None:
    """List the name and the title of each schema.

    \b
    Example:
      evaltrace schema list
    """
    from evaltrace.schema import read_schema, schema_names

    names = list(schema_names())
    width = max(map(len, names))
    for name in names:
        click.echo(f"{name:<{width}}  {read_schema(name).get('title', '')}".rstrip())


def _names_like(_context: click.Context, _argument: click.Parameter, start: str) -> list[str]:
    from evaltrace.schema import schema_names

    return [name for name in schema_names() if name.startswith(start)]


@schema.command("show")
@click.argument("name", shell_complete=_names_like)
def show_schema(name: str) -> None:
    """Print the schema NAME, as `evaltrace schema list` gives it.

    \b
    Example:
      evaltrace schema show trace | jq '.properties | keys'
    """
    from evaltrace.schema import schema_text

    click.echo(schema_text(name).rstrip("\n"))
