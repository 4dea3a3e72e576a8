"""Writes docs/conformance.md, the conformance statement of the shipped config.yaml. Run by `make docs`."""

from __future__ import annotations

from pathlib import Path

from node.config import load_config
from node.conformance import markdown
from node.conformance.statement import statement

_REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = _REPOSITORY / "docs" / "conformance.md"


def page() -> str:
    """The whole page, Markdown."""
    return markdown.text(statement(load_config(_REPOSITORY / "config.yaml")))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
