"""The command `raydistill`: one verb per file, errors and exit codes in one place.

Nothing here, and nothing a verb's file imports at its top, loads torch or Ray; a verb loads what it needs when it runs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from foundation.errors import ClusterLostError, RaydistillError
from foundation.shadow import check_not_shadowed
from orchestrator.cli import (
    cache,
    check,
    init,
    label,
    logs,
    output,
    plan,
    plugins,
    report,
    run,
    schema,
    search,
    status,
    stop,
    train,
)

app = typer.Typer(
    name="raydistill",
    help="Several teachers, one student. Label once, then train and search without calling a teacher again.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (init, check, plan, label, train, search, run, status, logs, stop, report, plugins, schema):
    app.command(module.NAME)(module.verb)
app.add_typer(cache.app, name="cache")


def _show_version(wanted: bool) -> None:
    if wanted:
        from orchestrator.version import VERSION

        print(f"raydistill {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; never raises for anything a user can cause."""
    output.Output.as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    output.Output.run_dir = None
    try:
        check_not_shadowed()
        done = app(args=None if arguments is None else list(arguments), prog_name="raydistill", standalone_mode=False)
        return done if isinstance(done, int) else 0
    except RaydistillError as error:
        return output.failure(error)
    except typer.Exit as end:
        return end.exit_code
    except KeyboardInterrupt:
        output.note("stopped")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except typer.Abort:
        return 130
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of the parser
            return _usage(error)
        return output.failure(error)


def _usage(error: Exception) -> int:
    from foundation.errors import ConfigError

    message = str(error.format_message())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "raydistill"
    return output.failure(ConfigError(message, where="command line", next_step=f"see `{command} --help`"))


def entry() -> None:
    """The console script."""
    code = main()
    if code in (ClusterLostError.exit_code, 128 + signal.SIGINT, 128 + signal.SIGTERM):
        # Ray's threads may still wait for what has gone: they would hold this process, and end it with their own code.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry()
