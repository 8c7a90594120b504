"""The command line: what a command needs is imported when it is called, and nothing before."""

import gc
import traceback
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import click

# A check, in front of a door, should not wait for the parts of a server to be loaded.
SECTIONS: Mapping[str, Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "For workers": {
            "join": ("worker", "Become a member, with an invitation."),
            "check": ("worker", "Look for warnings about a number or address."),
            "report": ("reporting", "Report a client, for the moderators of your collective."),
            "leave": ("worker", "Give your access back."),
            "receipt": ("worker", "Follow or withdraw a report by its receipt."),
        },
        "For moderators": {
            "moderator": ("moderator", "Read, decide and sign, with keys of your own."),
        },
        "For operators, on the instance's host": {
            "init": ("instance", "Found an instance."),
            "migrate": ("instance", "Bring the database to this version's schema."),
            "serve": ("instance", "Serve the instance."),
            "run-once": ("instance", "Do the timed work once."),
            "status": ("instance", "Show what an operator should look at."),
            "backup": ("instance", "Back up the database and the keys."),
            "restore": ("instance", "Restore a backup."),
            "collective": ("collective", "Add, list and end collectives and their moderators."),
            "member": ("member", "Invite members, and end their access."),
            "identity": ("identity", "Show the instance's identity, and sign the next one."),
            "partner": ("partner", "Add partner instances, and say what their warnings are worth."),
            "sync": ("syncing", "Ask partners for what is new, now."),
            "feed": ("feed", "Look at the log of what this instance has published."),
            "network": ("network", "Share the network key with other instances, and change it."),
            "demo": ("demo", "Try everything out on this machine, with invented data."),
            "demo-federation": ("federation", "Let two instances follow each other, likewise."),
        },
    }
)
_PLACES = {name: place for section in SECTIONS.values() for name, (place, _) in section.items()}

# By name: importing these would import the server.
_OPERATORS = {
    "NotFounded": "There is no instance here yet: found one with `parasol init`.",
    "UnsafeSetting": "PARASOL_BUCKET_LIMIT is below 131072, at which clients could not check.",
    "CannotListen": "Nothing can listen at PARASOL_HOST and PARASOL_PORT: another program may.",
    "NotStarted": "One of the server's processes could not start: try again.",
    "OutdatedSchema": "The database is not of this version: run `parasol migrate`.",
}


class Plain(click.ClickException):
    """One plain line on stderr and exit status 2: 1 is kept for a check that found a warning."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Print the line, and nothing before it."""
        del file
        click.echo(self.message, err=True)


class LazyGroup(click.Group):
    """Finds a command by name, imports its module then, and words its failures."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, importing it."""
        del ctx
        if cmd_name not in _PLACES:
            return None
        gc.disable()  # nothing of what is being loaded is garbage: to look takes a tenth of it
        module = import_module(f"api.cli.{_PLACES[cmd_name]}")
        gc.enable()
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by who uses them, without importing any."""
        del ctx
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; whatever fails ends in words and exit status 2, never with data."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (click.Abort, KeyboardInterrupt, EOFError):
            raise Plain("Stopped.") from None
        except Exception as error:  # noqa: BLE001  (else Python would print what it holds)
            raise Plain(_worded(error)) from None


def _worded(error: Exception) -> str:
    # Here, so that `parasol --help` need not wait for them.
    from api.cli.reasons import why  # noqa: PLC0415
    from api.client import CouldNotCheck, Refused, Unreachable, explain  # noqa: PLC0415
    from api.crypto.failures import InvalidInput  # noqa: PLC0415
    from api.errors import PartnerFailure, Refusal  # noqa: PLC0415
    from api.keyring import KeyFileError  # noqa: PLC0415
    from api.web import PagesError  # noqa: PLC0415

    if isinstance(error, Refused | Unreachable | CouldNotCheck | InvalidInput | KeyFileError):
        return explain(error)
    if isinstance(error, PartnerFailure | Refusal):
        return why(error.code) if isinstance(error, PartnerFailure) else error.title
    if isinstance(error, PagesError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    name = type(error).__name__
    if name in _OPERATORS:
        return _OPERATORS[name]
    # Where it happened, but not the error's own text: that may quote a number or an account.
    place = "".join(traceback.format_tb(error.__traceback__))
    return f"{place}Something went wrong in Parasol itself: {name}"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parasol")
def main() -> None:
    """Parasol: warnings about dangerous clients, by and for sex workers.

    A check does not tell the instance who is checked. Nothing found does not mean safe.
    """
