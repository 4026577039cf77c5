"""The `etapa` command. Each group of commands is one module with a `register`; add it below."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import typer

from services.cli import (
    accounts,
    credits_group,
    demo,
    doctor,
    jobs,
    psql,
    queue_view,
    run_tool,
    tools,
    up,
    watch,
)
from services.cli.errors import CliError
from services.cli.surroundings import Surroundings
from services.runtime.errors import SettingsError

GROUPS = (
    up,
    demo,
    run_tool,
    jobs,
    watch,
    queue_view,
    accounts,
    tools,
    credits_group,
    psql,
    doctor,
)


def build_app(env: Mapping[str, str]) -> typer.Typer:
    """Return the command with all its groups, working in the given environment."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Runs AI image and video jobs on RunningHub, and says where each one is.",
    )

    @app.callback()
    def begin(context: typer.Context) -> None:
        context.obj = Surroundings(env)

    for group in GROUPS:
        group.register(app)
    return app


def main() -> None:
    """Run the command; what a person can put right is told in one line, without a traceback."""
    try:
        build_app(os.environ)()
    except (CliError, SettingsError) as error:
        typer.echo(f"etapa: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
