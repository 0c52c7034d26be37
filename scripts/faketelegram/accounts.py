"""The users, the chats and the bot of the fake: values without rules. The rules are in `world`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["private", "group", "supergroup", "channel"]


@dataclass(frozen=True, eq=False)
class File:
    """A file that getFile can name.

    `owner` is the user or chat whose picture it is, None for any other file; `width` is in pixels, 0 without an owner.
    """

    file_id: str
    file_unique_id: str
    owner: int | None
    width: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Photo:
    """One photo of an account, as two groups of file ids.

    `profile` is what getUserProfilePhotos lists; these ids stay valid after the photo changes.
    `chat` is what getChat names, small first; these ids become invalid with the next photo.
    """

    profile: tuple[File, ...]
    chat: tuple[File, File]


@dataclass(frozen=True)
class Webhook:
    """The webhook as setWebhook stored it. An empty `url` means that none is set."""

    url: str = ""
    secret_token: str = ""
    max_connections: int = 40
    allowed_updates: list[object] = field(default_factory=list)


@dataclass
class Account:
    """A user (positive id), or a group or channel (negative id)."""

    id: int
    kind: Kind = "private"
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    title: str = ""
    public_only: bool = False
    hidden: bool = False
    deactivated: bool = False
    revision: int = 0  # how many pictures it has had
    photos: list[Photo] = field(default_factory=list)  # oldest first

    @property
    def name(self) -> str:
        return self.title or f"{self.first_name} {self.last_name}".strip()

    @property
    def listed(self) -> list[Photo]:
        """The photos of getUserProfilePhotos, newest first: no hidden photo, and no photo that is only public."""
        unseen = self.hidden or self.public_only or self.kind != "private"
        return [] if unseen else self.photos[::-1]

    @property
    def shown(self) -> Photo | None:
        """The photo of getChat: the newest one."""
        return None if self.hidden or not self.photos else self.photos[-1]
