"""Mutants: the project with one small mistake each. The share that the tests notice says how far to trust the tests.

places    what can be changed, and into what
tests     which tests reach a line, and how long they take
trial     a mutant is tried in a copy of the project
__main__  the sample, and the report
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    module: str
    function: str
    lines: tuple[int, int]  # first and last
    operator: str
    code: str  # the whole module
    rank: str  # the sample takes the lowest

    @property
    def name(self) -> str:
        return f"{self.module}:{self.lines[0]}:{self.operator}:{self.rank[:6]}"
