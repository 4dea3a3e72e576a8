"""The rules themselves: each one notices what it is there for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.house import rules
from tests.house.rules import Source

Rule = Callable[[Source], Iterator[str]]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (rules.imports_in_functions, "def f():\n    import os\n"),
        (rules.imports_in_functions, "async def f():\n    if x:\n        from os import path\n"),
        (rules.global_statements, "def f():\n    global x\n"),
        (rules.prints, "print('x')\n"),
        (rules.broad_excepts, "try:\n    x\nexcept Exception as e:\n    y\n"),
        (rules.broad_excepts, "try:\n    x\nexcept:\n    y\n"),
        (rules.broad_excepts, "try:\n    x\nexcept (ValueError, BaseException):\n    y\n"),
        (rules.silent_excepts, "try:\n    x\nexcept Exception:\n    pass\n"),
        (rules.silent_excepts, "try:\n    x\nexcept:\n    y\n"),
        (rules.silent_excepts, "try:\n    x\nexcept Exception:  # noqa: BLE001\n    log.error('x')\n"),
        (rules.long_functions, "def f():\n" + "    x\n" * 60),
        (rules.long_files, "x\n" * 401),
        (rules.many_parameters, "def f(a, b, c, d, e, g): ...\n"),
        (rules.many_parameters, "class A:\n    def f(self, a, b, c, d, e, g): ...\n"),
        (rules.unannotated, "def f(a: int): ...\n"),
        (rules.unannotated, "def f(a: int, *rest) -> None: ...\n"),
    ],
)
def test_a_rule_notices_what_it_forbids(rule: Rule, text: str) -> None:
    assert len(list(rule(Source("node/x.py", text)))) == 1


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (rules.imports_in_functions, "import os\ndef f(): ...\n"),
        (rules.broad_excepts, "try:\n    x\nexcept (ValueError, KeyError):\n    y\n"),
        (rules.broad_excepts, "try:\n    x\nexcept BaseException:\n    y\n    raise\n"),
        (rules.silent_excepts, "try:\n    x\nexcept KeyError:\n    pass\n"),
        (rules.silent_excepts, "try:\n    x\nexcept Exception as e:\n    raise KeyError from e\n"),
        (rules.silent_excepts, "try:\n    x\nexcept Exception:\n    log.exception('x')\n"),
        (rules.silent_excepts, "try:\n    x\nexcept Exception:  # noqa: BLE001  told to the caller\n    y\n"),
        (rules.long_functions, "def f():\n" + "    x\n" * 59),
        (rules.many_parameters, "class A:\n    def f(self, a, b, c, d, e, *, g): ...\n"),
        (rules.unannotated, "class A:\n    def f(self, a: int, *rest: str) -> None: ...\n"),
    ],
)
def test_a_rule_leaves_what_it_allows(rule: Rule, text: str) -> None:
    assert list(rule(Source("node/x.py", text))) == []


def test_a_circle_is_found_also_through_imports_for_types() -> None:
    graph = rules.import_graph(
        [
            Source("a/__init__.py", ""),
            Source("a/b.py", "from a import c\n"),
            Source("a/c.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .d import D\n"),
            Source("a/d.py", "import a.b\n"),
            Source("a/e.py", "from a import b\n"),
        ]
    )
    assert graph["a.b"] == {"a.c"}
    assert sorted(rules.circles(graph)) == ["a.b → a.c → a.d → a.b", "a.c → a.d → a.b → a.c", "a.d → a.b → a.c → a.d"]


def test_a_package_and_its_module_make_no_circle_by_name_alone() -> None:
    graph = rules.import_graph(
        [Source("a/__init__.py", "from b import X\n"), Source("a/m.py", "from a import Y\n"), Source("b.py", "")]
    )
    assert rules.circles(graph) == []
