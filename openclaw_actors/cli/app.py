"""The commands and their options. Each command's own module is imported when it runs."""

from __future__ import annotations

import errno
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from openclaw_actors.cli.check import EXIT_STATUS_HELP
from openclaw_actors.cli.session import silence_stdout

_PROGRAM = "openclaw-actors"

F = TypeVar("F", bound=Callable[..., Any])

_HOME_HELP = "The OpenClaw home (state directory). Default: OPENCLAW_STATE_DIR, else ~/.openclaw."


def _shared(command: F) -> F:
    """Add the options that all commands have."""
    command = click.option("--home", metavar="DIR", help=_HOME_HELP)(command)
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def _number(context: click.Context, option: click.Parameter, value: float) -> float:
    """Refuse what a range lets through though it isn't in it."""
    if math.isnan(value):
        raise click.BadParameter("it is not a number.", context, option)
    return value


_offline = click.option(
    "--offline", is_flag=True, help="Ask no running gateway: read the files, with your own environment."
)
_agent = click.option("--agent", metavar="ID", help="One agent. Default: the configured default agent.")
_agent_or_all = click.option("--agent", metavar="ID", help="One agent. Default: all.")
_all_agents = click.option("--all-agents", is_flag=True, help="Every configured agent.")

_RECHECK_STATUS_HELP = """\
\b
The exit status says what came of it:
  0   every running gateway has looked again
  69  no gateway of this home runs (EX_UNAVAILABLE)
  75  one was not done within --wait, or could not be asked (EX_TEMPFAIL)"""

_DOCTOR_STATUS_HELP = """\
\b
The exit status says what was found:
  0  nothing worse than notes
  1  an error: something doesn't work now
  2  warnings: it works, but is at risk or soon won't"""

_WRITE_STATUS_HELP = """\
\b
The exit status says what came of it:
  0   done, or there was nothing to do
  65  a store is broken; it is left as it is (EX_DATAERR)
  75  a store is locked by another process, or the change was not published in time (EX_TEMPFAIL)
  77  a store can't be written (EX_NOPERM)"""


_SERVE_STATUS_HELP = """\
\b
The exit status says how it ended:
  0   by Ctrl-C or SIGTERM
  69  the address can't be listened on (EX_UNAVAILABLE)
  78  the token file can't be used (EX_CONFIG)"""


@click.group(name=_PROGRAM, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, help="Print the version.")  # answered in __main__, before this is imported
def cli(version: bool) -> None:
    """Which providers does each agent of an OpenClaw home hold working credentials for?

    Reads the home's config, credential stores, logins of other programs and your environment; or asks a running `serve`
    of the home, whose environment counts then. Only `logout`, `clear-cooldown` and the events that `serve` is sent
    write into the home.
    """


@cli.command(epilog=EXIT_STATUS_HELP)
@_shared
@_offline
@_agent
@_all_agents
@click.option("--provider", "providers", metavar="P", multiple=True, help="Just this one, in any spelling; repeatable.")
@click.option("--all", "everything", is_flag=True, help="Also list providers without any credentials.")
@click.option("--check", "checked", is_flag=True, help="Let the exit status say how things are (see below).")
def status(**options: Any) -> int:
    """Show which providers each agent can use, by which credential, until when."""
    from openclaw_actors.cli.status import show_status

    return _quietly(show_status, **options)


@cli.command()
@click.argument("target", metavar="PROVIDER[/MODEL]")
@_shared
@_offline
@_agent
def explain(target: str, **options: Any) -> int:
    """Show everything behind one answer: what won, what it shadows, why, and what to do."""
    from openclaw_actors.cli.explain import show_explanation

    return _quietly(show_explanation, target, **options)


@cli.command(epilog=_DOCTOR_STATUS_HELP)
@_shared
@_offline
def doctor(**options: Any) -> int:
    """Check what can be checked, of every agent: who may reach the files, what is wrong in them, what watching them
    meets (limits, network file systems, mounted files), what expires, is never used, or doesn't work; and what a
    running `serve` says of itself.
    """
    from openclaw_actors.cli.doctor import show_diagnosis

    return _quietly(show_diagnosis, **options)


@cli.command()
@click.argument("provider", required=False)
@_shared
@_offline
@_agent
@click.option("--page", "number", type=click.IntRange(min=1), default=1, show_default=True, help="Which page.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Models on a page.")
@click.option("--all", "everything", is_flag=True, help="The whole catalogue on one page, with or without credentials.")
def models(provider: str | None, **options: Any) -> int:
    """List the models that an agent is shown, and say why the others are hidden."""
    from openclaw_actors.cli.models import show_models

    return _quietly(show_models, provider, **options)


@cli.command()
@_shared
@_offline
@_agent
@_all_agents
def watch(**options: Any) -> int:
    """Print each change of an answer with its cause, generation and latency, until Ctrl-C.

    With --json: one JSON object per line.
    """
    from openclaw_actors.cli.watch import watch_changes

    return _quietly(watch_changes, **options)


@cli.command(epilog=_RECHECK_STATUS_HELP)
@click.argument("provider", required=False)
@_shared
@_agent_or_all
@click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    type=click.FloatRange(0, 300),
    default=5.0,
    show_default=True,
    help="How long the answers are waited for.",
    callback=_number,
)
def recheck(provider: str | None, **options: Any) -> int:
    """Have the running gateways of this home look again, now: at one provider or at all of them.

    They read their sources anew and try credentials again that were refused.
    """
    from openclaw_actors.cli.recheck import recheck as ask_gateways

    return _quietly(ask_gateways, provider, **options)


@cli.command(epilog=_WRITE_STATUS_HELP)
@click.argument("provider")
@_shared
@_offline
@_agent
@click.option("--profile", metavar="ID", help="Just this profile. Default: all of the provider.")
@click.option("--yes", is_flag=True, help="Don't ask; a pipe needs it.")
def logout(provider: str, **options: Any) -> int:
    """Remove a provider's stored profiles, by a running gateway or under the store's lock.

    An inherited profile is removed where it is, for all agents that see it.
    """
    from openclaw_actors.cli.logout import log_out

    return _quietly(log_out, provider, **options)


@cli.command("clear-cooldown", epilog=_WRITE_STATUS_HELP)
@click.argument("profile")
@_shared
@_offline
@_agent
def clear_cooldown(profile: str, **options: Any) -> int:
    """Let a profile that rests be used again, by a running gateway or under the store's lock."""
    from openclaw_actors.cli.clear_cooldown import clear_cooldown as clear

    return _quietly(clear, profile, **options)


@cli.command(epilog=_SERVE_STATUS_HELP)
@_shared
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=18790, show_default=True, help="0 takes a free one.")
@click.option(
    "--token-file",
    metavar="FILE",
    help="The tokens; made when there is none. Default: in $XDG_STATE_HOME/openclaw-actors or ~/.local/state.",
)
@click.option("--allow-remote", is_flag=True, help="Listen where other machines reach it; reading needs a token then.")
@click.option(
    "--allow-host", "allow_hosts", metavar="NAME", multiple=True, help="Another name it may be asked by; repeatable."
)
def serve(**options: Any) -> int:
    """Serve the answers over HTTP, until Ctrl-C: /v1/models, /models, /auth, /events, /metrics.

    It answers at once and warms behind. Events (recheck, failures, logout) need the admin token.
    """
    from openclaw_actors.cli.serve import serve as serve_http

    return _quietly(serve_http, **options)


_UNWRITABLE = frozenset({errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG, errno.EDQUOT})

USAGE_STATUS = 64
"""Exit status for wrong usage (EX_USAGE of sysexits.h): `status --check` has a meaning for 2."""

UNWRITABLE_STATUS = 74
"""Exit status when the output can't be written (EX_IOERR)."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 64 for wrong usage, 74 for unwritable output, 130 if interrupted;
    commands have others of their own, which their help says.
    """
    if sys.stdout is None or sys.stdout.closed:
        return UNWRITABLE_STATUS
    try:
        status = cli.main(args=list(arguments), prog_name=_PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return USAGE_STATUS
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        print(f"{_PROGRAM}: the output can't be written: {error.strerror}", file=sys.stderr)
        silence_stdout()
        return UNWRITABLE_STATUS
    except (click.Abort, KeyboardInterrupt):
        return 130
    return status if isinstance(status, int) else 0


def _quietly(command: Callable[..., int], *arguments: Any, **options: Any) -> int:
    """Run a command; when the reader of its output goes away, end without a word (click itself would exit with 1)."""
    try:
        status = command(*arguments, **options)
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
        return 0
    return status
