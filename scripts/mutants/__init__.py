"""Mutation tests: how many small mistakes in the code do the tests notice?

places    where the code can change, and the changes there
tests     which tests reach a line, and how long they take
trial     tries a mutant in a copy of the project
__main__  the sample and the report
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One change to one module."""

    module: str
    function: str
    lines: tuple[int, int]  # first and last
    operator: str
    code: str  # the whole module
    rank: str  # the sample takes the lowest ranks

    @property
    def name(self) -> str:
        return f"{self.module}:{self.lines[0]}:{self.operator}:{self.rank[:6]}"
