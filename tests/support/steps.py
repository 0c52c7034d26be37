"""The steps of the flow, some of them replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from warmer.flow.steps import FlowSteps
from warmer.state.photos import PhotoStore


class _Replaced:
    def __init__(self, steps: FlowSteps, replacements: dict[str, Callable[..., Any]]) -> None:
        self._steps = steps
        self.__dict__.update(replacements)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._steps, name)


def replace_steps(steps: FlowSteps, **replacements: Callable[..., Any]) -> FlowSteps:
    """The same steps and state, but for these steps."""
    if unknown := [name for name in replacements if not hasattr(steps, name)]:
        raise AttributeError(f"no such steps: {unknown}")
    return cast(FlowSteps, _Replaced(steps, replacements))


def is_ready(store: PhotoStore, file_id: str) -> bool:
    """Every size in the first format is in Redis now."""
    return store.get_statuses([file_id])[0].status == "ready"
