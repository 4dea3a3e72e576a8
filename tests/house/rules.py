"""The rules of the house as functions: source text in, faults ("file:line what") out."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LONGEST_FUNCTION = 60
LONGEST_FILE = 400
MOST_POSITIONAL = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file: its path within the repository, as "node/config.py", and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 0)} {what}"


def sources(repository: Path, folders: Iterable[str]) -> list[Source]:
    files = [file for folder in folders for file in sorted((repository / folder).rglob("*.py"))]
    return [Source(file.relative_to(repository).as_posix(), file.read_text(encoding="utf-8")) for file in files]


def functions(source: Source) -> Iterator[Function]:
    yield from (node for node in ast.walk(source.tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from `def` to the end, decorators not counted."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def imports_in_functions(source: Source) -> Iterator[str]:
    for function in functions(source):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield source.at(node, f"import inside {function.name}()")


def global_statements(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Global):
            yield source.at(node, f"global {', '.join(node.names)}")


def prints(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield source.at(node, "print()")


def broad_excepts(source: Source) -> Iterator[str]:
    """Handlers of everything (bare, Exception, BaseException), but for those that only clean up and raise again."""
    for handler in _broad(source):
        last = handler.body[-1]
        if not (isinstance(last, ast.Raise) and last.exc is None):
            yield source.at(handler, "catches everything")


def silent_excepts(source: Source) -> Iterator[str]:
    """Handlers of everything that neither raise, nor log with the traceback, nor say why not (after `noqa: BLE001`)."""
    lines = source.text.splitlines()
    for handler in _broad(source):
        nodes = [node for statement in handler.body for node in ast.walk(statement)]
        tells = any(isinstance(node, ast.Raise) for node in nodes) or any(
            isinstance(node, ast.Attribute) and node.attr == "exception" for node in nodes
        )
        if not tells and not lines[handler.lineno - 1].partition("# noqa: BLE001")[2].strip():
            yield source.at(handler, "an error is swallowed")


def _broad(source: Source) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else set()
            if node.type is None or names & {"Exception", "BaseException"}:
                yield node


def long_functions(source: Source) -> Iterator[str]:
    for function in functions(source):
        if length(function) > LONGEST_FUNCTION:
            yield source.at(function, f"{function.name}() has {length(function)} lines")


def long_files(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > LONGEST_FILE:
        yield f"{source.path} has {lines} lines"


def many_parameters(source: Source) -> Iterator[str]:
    """Functions with more than five parameters that can be given by position; self and cls not counted."""
    for function in functions(source):
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if count > MOST_POSITIONAL:
            yield source.at(function, f"{function.name}() has {count} positional parameters")


def unannotated(source: Source) -> Iterator[str]:
    for function in functions(source):
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        bare = [each.arg for each in every if each and each.annotation is None and each.arg not in ("self", "cls")]
        if bare or function.returns is None:
            yield source.at(function, f"{function.name}() is not annotated: {', '.join(bare) or 'what it returns'}")


def import_graph(of: Iterable[Source]) -> dict[str, set[str]]:
    """Module → the modules among `of` that it imports, those for type checking included."""
    by_name = {source.module: source for source in of}
    return {name: set(_imported(source, by_name)) - {name} for name, source in by_name.items()}


def _imported(source: Source, known: Mapping[str, Source]) -> Iterator[str]:
    package = source.module if source.path.endswith("__init__.py") else source.module.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            inner = [f"{base}.{alias.name}" for alias in node.names]
            yield from (name for name in inner if name in known)
            if base in known and any(name not in known for name in inner):
                yield base


def circles(graph: Mapping[str, set[str]]) -> list[str]:
    """Every module that can reach itself, as "a → b → a"."""
    return [" → ".join(path) for start in graph if (path := _way_back(graph, start))]


def _way_back(graph: Mapping[str, set[str]], start: str) -> list[str]:
    """The shortest way from `start` to itself, or nothing."""
    ways, seen = [[start]], {start}
    for way in ways:
        for following in sorted(graph.get(way[-1], ())):
            if following == start:
                return [*way, start]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []
