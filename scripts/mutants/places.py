"""Where the code can change, and the changes there: one mutant per place.

The operators are cosmic-ray's and two of our own: one drops a call, one returns None instead of a value. These two say
most about code that mainly calls other code. Some of cosmic-ray's operators are left out: those for decorators, which
almost any test kills; those for variables, which need names of variables; and "is" for "==", which often changes
nothing. So are places where a change breaks no promise:

- types and decorators;
- output to a log;
- fractions, constants and numbers of several digits: a test that 600 is not 601 would copy the code;
- random values: so would a test that can tell division by a random number near 1 from multiplication;
- whether a pipeline is a transaction: only a Redis Cluster notices, and refuses it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from mutants import Mutant

LEFT_OUT_OPERATORS = re.compile(
    r"RemoveDecorator|VariableReplacer|VariableInserter"
    r"|ReplaceComparisonOperator_Is(Not)?_(?!Is)|ReplaceComparisonOperator_(?!Is).*_Is"
)
LOGS = ("log.", "logging.", "warnings.")
Position = tuple[tuple[int, int], tuple[int, int]]  # (line, column) of its start and of its end
Choice = tuple[str, str, int, Any]  # rank, operator, number of the occurrence, node


class DropCall:
    """Drops a call that is a statement, or the raising of an error."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        is_call = node.type in ("atom_expr", "power") and node.children[-1].get_code().startswith("(")
        is_raise = node.type == "raise_stmt" or (node.type == "keyword" and node.value == "raise")
        if (is_call or is_raise) and node.parent is not None and node.parent.type == "simple_stmt":
            yield (node.start_pos, node.end_pos)

    def mutate(self, node: Any, _index: int) -> Any:
        return _parse_for(node, "pass")


class ReturnNone:
    """Returns None instead of a value."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
            yield (node.start_pos, node.end_pos)

    def mutate(self, node: Any, _index: int) -> Any:
        return _parse_for(node, "return None")


def find_mutants(path: Path, module: str, seed: int) -> Iterator[Mutant]:
    """One mutant per place of the module, lowest rank first; a generator, since making them takes long."""
    source = path.read_text("utf-8")
    operators = _list_operators()
    for place, choices in sorted(
        _find_places(source, module, operators, seed).items(), key=lambda item: min(item[1])[0]
    ):
        for rank, name, occurrence, node in sorted(choices, key=lambda choice: choice[0]):
            if (code := _mutate(source, operators[name], occurrence)) is not None:
                yield Mutant(module, _name_function(node), _find_lines(node, place), name, code, rank)
                break


def count_places(path: Path, module: str, seed: int) -> int:
    return len(_find_places(path.read_text("utf-8"), module, _list_operators(), seed))


def _find_places(source: str, module: str, operators: dict[str, Any], seed: int) -> dict[Position, list[Choice]]:
    places: dict[Position, list[Choice]] = defaultdict(list)
    twins: Counter[str] = Counter()
    nodes = list(ast_nodes(get_ast(source)))
    for name, operator in operators.items():
        positions = [(node, place) for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, (node, place) in enumerate(positions):
            if not _is_left_out(node, place, name):
                places[place].append((_rank(seed, module, source, name, node, place, twins), name, occurrence, node))
    return places


def _list_operators() -> dict[str, Any]:
    theirs = {name.rpartition("/")[2]: name for name in sorted(operator_names())}
    chosen = {short: get_operator(name)() for short, name in theirs.items() if not LEFT_OUT_OPERATORS.match(short)}
    return chosen | {"DropCall": DropCall(), "ReturnNone": ReturnNone()}


def _mutate(source: str, operator: Any, occurrence: int) -> str | None:
    """The code with this change; None if nothing changes, or if it is not valid Python."""
    try:
        code: str | None = mutate_code(source, operator, occurrence)
        compile(code or "", "mutant", "exec")
    except (SyntaxError, AttributeError):  # cosmic-ray fails on exceptions whose name has a dot
        return None
    return code if code != source else None


def _rank(seed: int, module: str, source: str, name: str, node: Any, place: Position, twins: Counter[str]) -> str:
    """A rank that depends on this line of the function only: the sample stays the same while other code changes."""
    (line, column), _ = place
    text = source.splitlines()[line - 1]
    indent = len(text) - len(text.lstrip())
    key = f"{seed} {module} {_name_function(node)} {name} {column - indent} {text.strip()}"
    twins[key] += 1
    return hashlib.sha256(f"{key} {twins[key]}".encode()).hexdigest()


def _is_left_out(node: Any, place: Position, operator: str) -> bool:
    if operator == "NumberReplacer" and len(node.value) > 1:
        return True
    if node.type == "if_stmt" and node.children[1].get_code().strip() == "TYPE_CHECKING":
        return bool(place[0] == node.children[1].start_pos)
    counts = operator.startswith(("NumberReplacer", "ReplaceBinary", "ReplaceUnary"))
    while (parent := node.parent) is not None:
        if _is_type(node) or _is_silent(node) or (counts and _is_measure(node)):
            return True
        node = parent
    return False


def _is_type(node: Any) -> bool:
    parent = node.parent
    return node.type == "decorator" or (
        (parent.type == "annassign" and node is parent.children[1])
        or (parent.type == "tfpdef" and node is parent.children[2])
        or (parent.type == "funcdef" and node is parent.annotation)
    )


def _is_silent(node: Any) -> bool:
    """Only a log or a Redis Cluster shows it."""
    code: str = node.get_code(include_prefix=False)
    return (node.parent.type == "simple_stmt" and code.startswith(LOGS)) or code.startswith("transaction=")


def _is_measure(node: Any) -> bool:
    """A constant, a random value, or the star among a function's parameters."""
    is_constant = node.parent.type == "file_input" and node.type == "simple_stmt"
    is_random = node.parent.type == "simple_stmt" and "random." in node.get_code()
    return is_constant or is_random or node.parent.type in ("parameters", "param")


def _name_function(node: Any) -> str:
    names = []
    while (node := node.parent) is not None:
        if node.type in ("funcdef", "classdef"):
            names.append(node.name.value)
    return ".".join(reversed(names)) or "the module"


def _find_lines(node: Any, place: Position) -> tuple[int, int]:
    """The lines of the simple statement, or of the changed part of a compound one."""
    while node is not None and node.parent is not None and node.parent.type != "simple_stmt":
        node = node.parent
    if node is None or node.parent is None:
        return place[0][0], place[1][0]
    return node.start_pos[0], node.end_pos[0]


def _parse_for(node: Any, code: str) -> Any:
    """Parse code into a statement for the node's place."""
    statement = parso.parse(code).children[0]
    statement.get_first_leaf().prefix = node.get_first_leaf().prefix
    return statement
