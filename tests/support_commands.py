"""A command of `mammo-node` in this process."""

from __future__ import annotations

from typer.testing import CliRunner

from node.cli import make_app
from node.errors import ConfigError


def printed(*arguments: object, status: int = 0) -> str:
    """What the command printed; it must end with `status`. A refusal is raised as it is: ConfigError."""
    given = [str(each) for each in arguments]
    done = CliRunner().invoke(make_app(given), given)
    if isinstance(done.exception, ConfigError):
        raise done.exception
    assert done.exit_code == status, done.output
    return done.output
