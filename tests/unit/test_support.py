"""The tests' own helpers keep their word: nothing outlives a test, nothing waits in silence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support import require_tool, running, shared_data, wait_until


def gone(pid: int) -> bool:
    """Whether no such process runs; one that only waits for its parent's glance runs no more."""
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" in status.read_text()


def test_a_program_is_waited_for_and_ended() -> None:
    with running(sys.executable, "-u", "-c", "print('ready'); import time; time.sleep(60)", until="ready") as process:
        assert "ready" in process.output
    assert gone(process.pid)


def test_a_program_that_ignores_sigterm_is_killed_with_its_children() -> None:
    script = "trap '' TERM; sleep 60 & echo child $!; wait; wait"
    with running("bash", "-c", script, until="child") as process:
        child = int(process.lines[0].split()[1])
        process.kill()
    wait_until(lambda: gone(child), 5, "the child's end")


def test_a_program_that_ends_early_is_told_with_its_output() -> None:
    words = r"ended with 3; waited for 'ready'; it printed:\nbroken"
    program = (sys.executable, "-c", "print('broken'); raise SystemExit(3)")
    with pytest.raises(pytest.fail.Exception, match=words), running(*program, until="ready"):
        pass


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"waited 0.1 s in vain: the moon"):
        wait_until(lambda: False, 0.1, "the moon")


@pytest.mark.parametrize("ci", ["", "true"])
def test_what_is_absent_is_skipped_and_on_ci_a_failure(monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    expected = pytest.fail.Exception if ci else pytest.skip.Exception
    with pytest.raises(expected, match="no-such-tool is not installed: apt-get install no-such-tool"):
        require_tool("no-such-tool")
    with pytest.raises(expected, match=r"\.\./shared/data/no-such-folder is not beside the repository"):
        shared_data("no-such-folder")


def test_programs_of_the_environment_are_not_taken_for_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    assert Path(require_tool("echoscu")).parent != Path(sys.executable).parent
