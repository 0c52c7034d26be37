"""From a user or chat id to its newest picture."""

from __future__ import annotations

from warmer.deadline import Errand
from warmer.errors import NoPhoto
from warmer.photo import PhotoSize
from warmer.state.budget import Budget
from warmer.telegram.client import BotApi


class LookUp:
    """Asks getUserProfilePhotos first and getChat second, which also knows public photos, groups and channels."""

    def __init__(self, telegram: BotApi, budget: Budget) -> None:
        self.telegram = telegram
        self.budget = budget

    def __call__(self, user_id: int, errand: Errand) -> list[PhotoSize]:
        """Every size of the newest picture; raises NoPhoto where there is none to see."""
        sizes: list[PhotoSize] = []
        if user_id > 0:
            sizes = self.budget.spend(errand, lambda deadline: self.telegram.get_profile_photo(user_id, deadline))
        if not sizes:
            sizes = self.budget.spend(errand, lambda deadline: self.telegram.get_chat_photo(user_id, deadline))
        if not sizes:
            raise NoPhoto("no photo, or a hidden one")
        return sizes


def choose_size(sizes: list[PhotoSize], width: int) -> PhotoSize:
    """The smallest size that covers `width` pixels, else the largest: a smaller source is a smaller download."""
    ordered = sorted(sizes, key=lambda size: size.width)
    return next((size for size in ordered if size.width >= width), ordered[-1])
