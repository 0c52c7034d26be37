"""Where the code can be changed, and into what: one mutant a place.

The operators are cosmic-ray's, and two of our own: a call that is not made and a value that is not returned, which say
most about code that mainly calls others. Left out are cosmic-ray's operators for decorators and variables: almost any
test kills the first, and the second need the names of variables; and "is" for "==", which often changes nothing. Left
out, too, are places where a change breaks no promise:

types and decorators;
what only a log shows;
measures, which are fractions, numbers of several digits and constants: a test of 600 that is not 601 would be a copy;
what is random: a test that tells dividing by a random number near 1 from multiplying would be one, too;
whether a pipeline is a transaction: only a Redis Cluster tells, and refuses it.
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
Position = tuple[tuple[int, int], tuple[int, int]]  # (line, column): where it begins, where it ends
Choice = tuple[str, str, int, Any]  # rank, operator, its how manieth occurrence, node


class DropCall:
    """A call for its effect is not made, an error is not raised."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        is_call = node.type in ("atom_expr", "power") and node.children[-1].get_code().startswith("(")
        is_raise = node.type == "raise_stmt" or (node.type == "keyword" and node.value == "raise")
        if (is_call or is_raise) and node.parent is not None and node.parent.type == "simple_stmt":
            yield (node.start_pos, node.end_pos)

    def mutate(self, node: Any, _index: int) -> Any:
        return _parse_for(node, "pass")


class ReturnNone:
    """A value is not returned."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
            yield (node.start_pos, node.end_pos)

    def mutate(self, node: Any, _index: int) -> Any:
        return _parse_for(node, "return None")


def find_mutants(path: Path, module: str, seed: int) -> Iterator[Mutant]:
    """One mutant for each place of the module, the lowest rank first; made as they are asked for, which takes long."""
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
    """The code with this change; None where there is none, or it is no Python."""
    try:
        code: str | None = mutate_code(source, operator, occurrence)
        compile(code or "", "mutant", "exec")
    except (SyntaxError, AttributeError):  # cosmic-ray replaces no exception whose name has a dot, and fails
        return None
    return code if code != source else None


def _rank(seed: int, module: str, source: str, name: str, node: Any, place: Position, twins: Counter[str]) -> str:
    """The same while this line of the function stays as it is: the sample then stays, too, while other code changes."""
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
    """It is seen in a log, or by a Redis Cluster."""
    code: str = node.get_code(include_prefix=False)
    return (node.parent.type == "simple_stmt" and code.startswith(LOGS)) or code.startswith("transaction=")


def _is_measure(node: Any) -> bool:
    """A constant or what is random; the star among a function's parameters counts nothing either."""
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
    """The lines of the simple statement, or of the changed part of another."""
    while node is not None and node.parent is not None and node.parent.type != "simple_stmt":
        node = node.parent
    if node is None or node.parent is None:
        return place[0][0], place[1][0]
    return node.start_pos[0], node.end_pos[0]


def _parse_for(node: Any, code: str) -> Any:
    """A statement of this code, to stand where the node stands."""
    statement = parso.parse(code).children[0]
    statement.get_first_leaf().prefix = node.get_first_leaf().prefix
    return statement
