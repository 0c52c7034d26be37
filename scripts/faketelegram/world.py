"""The users, chats and files behind the fake, and everything that can happen to them.

Ids are the same in every run: they follow from the seed, the bot, the account, the number of its picture, and the
size. Every call here is thread-safe, and later answers see its effect.
"""

import threading
from collections.abc import Mapping
from enum import Enum
from itertools import count
from typing import Final

from faketelegram import ids, pictures
from faketelegram.accounts import Account, File, Kind, Photo, Webhook
from faketelegram.fields import FieldError, UnknownAccountError, account_id
from faketelegram.files import FileStore
from faketelegram.pictures import Picture
from faketelegram.updates import Updates


class Drawn(Enum):
    """Draw a picture. A value of its own, because None means no picture."""

    DRAWN = "drawn"


DRAWN: Final = Drawn.DRAWN
# The fake serves bytes as they are at every width, even if they are no image; a mapping has its own bytes per width.
PictureSource = bytes | Mapping[int, bytes] | Drawn


class World:
    def __init__(self, bot_id: int = 123456789, seed: str = "fake") -> None:
        self.bot_id = bot_id
        self.seed = seed
        self.updates = Updates()
        self.message_ids = count(1)
        self.webhook = Webhook()
        self.commands: dict[tuple[str, str], list[dict[str, str]]] = {}  # by scope and language
        self._accounts: dict[int, Account] = {}
        self.files = FileStore()
        self._added = 0
        self._lock = threading.RLock()

    # Users and chats

    def add_user(
        self,
        id: int,
        first_name: str,
        *,
        last_name: str = "",
        username: str = "",
        picture: PictureSource | None = DRAWN,
        public_only: bool = False,
    ) -> Account:
        """A new user. `public_only`: getChat shows the photo, getUserProfilePhotos does not."""
        if account_id(id) < 0:
            raise FieldError("id", f"a user's id is positive, not {id}")
        return self.add(Account(id, "private", first_name, last_name, username, public_only=public_only), picture)

    def add_chat(
        self,
        id: int,
        title: str,
        *,
        kind: Kind = "supergroup",
        username: str = "",
        picture: PictureSource | None = DRAWN,
    ) -> Account:
        """A new group or channel; its photo comes from getChat alone."""
        if account_id(id) > 0:
            raise FieldError("id", f"the id of a group or channel is negative, not {id}")
        return self.add(Account(id, kind, username=username, title=title), picture)

    def add(self, account: Account, picture: PictureSource | None = DRAWN) -> Account:
        """A new user, group or channel."""
        with self._lock:
            if account.id in self._accounts:
                raise FieldError("id", f"{account.id} already exists")
            self._accounts[account.id] = account
            if picture is not None:
                self.change_photo(account.id, picture)
            return account

    def remove_user(self, id: int) -> None:
        """Remove a user or a chat with its files: from now on `user not found`."""
        with self._lock:
            for photo in self._known(id).photos:
                self.files.remove(*photo.profile, *photo.chat)
            del self._accounts[id]

    def deactivate(self, id: int) -> None:
        """Delete the account at Telegram: from now on `user is deactivated`."""
        self._known(id).deactivated = True

    # Photos

    def change_photo(self, id: int, picture: PictureSource = DRAWN) -> Account:
        """Add a picture as the newest; the file ids that getChat gave for the last one become invalid."""
        with self._lock:
            account = self._known(id)
            self._forget_chat_files(account)
            account.revision += 1
            account.hidden = False
            photo = self._photo(account, self._make_picture(account, picture))
            account.photos.append(photo)
            self.files.add(*photo.profile, *photo.chat)
            return account

    def hide_photo(self, id: int) -> Account:
        """Hide the photo from both methods; the ids from getChat become invalid, those from the profile stay valid."""
        with self._lock:
            account = self._known(id)
            account.hidden = True
            self._forget_chat_files(account)
            return account

    def show_photo(self, id: int) -> None:
        """Undo hide_photo."""
        with self._lock:
            account = self._known(id)
            account.hidden = False
            if account.photos:
                self.files.add(*account.photos[-1].chat)

    def _make_picture(self, account: Account, picture: PictureSource) -> Picture:
        if isinstance(picture, Drawn):
            seed = f"{self.seed}:{account.id}:{account.revision}"
            return Picture(lambda: pictures.drawn(seed))
        if isinstance(picture, bytes):
            return Picture(lambda: dict.fromkeys(pictures.WIDTHS, picture))
        return Picture(lambda: picture)

    def _photo(self, account: Account, picture: Picture) -> Photo:
        which = (self.seed, account.id, account.revision)

        def file(width: int, source: str) -> File:
            # As at Telegram, both methods give the same unique id but different file ids.
            unique_id = ids.file_unique_id(*which, width)
            name = ids.file_id(self.bot_id, *which, width, source)
            return File(name, unique_id, account.id, width, lambda: picture.at(width))

        listed = account.kind == "private" and not account.public_only
        profile = tuple(file(width, "profile") for width in pictures.WIDTHS) if listed else ()
        return Photo(profile, (file(160, "chat"), file(640, "chat")))

    def draw_all(self) -> None:
        """Draw every picture now (about 20 ms each), so that no measurement contains it."""
        for account in self.accounts():
            for photo in account.photos:
                photo.chat[0].read()

    # Files

    def add_file(self, data: bytes) -> str:
        """Add any bytes as a file; the file id."""
        with self._lock:
            self._added += 1
            which = (self.seed, "file", self._added)
            file = File(ids.file_id(self.bot_id, *which), ids.file_unique_id(*which), None, 0, lambda: data)
            self.files.add(file)
            return file.file_id

    def file_id(self, id: int, width: int = 320) -> str:
        """The id of the current picture of at least this width, from the profile, or else from getChat."""
        account = self._known(id)
        photo = account.shown
        if photo is None:
            raise LookupError(f"{id} shows no photo")
        files = photo.profile or photo.chat
        return next((file for file in files if file.width >= width), files[-1]).file_id

    def expire_paths(self, file_id: str | None = None) -> None:
        """Let downloads of this file's path, or of every path, answer 404 until getFile gives a new one."""
        self.files.expire(file_id)

    # Look-ups

    def accounts(self) -> list[Account]:
        with self._lock:
            return list(self._accounts.values())

    def find(self, id: int) -> Account | None:
        return self._accounts.get(id)

    def chat_named(self, username: str) -> Account | None:
        return next((one for one in self.accounts() if one.id < 0 and one.username.lower() == username.lower()), None)

    def _known(self, id: int) -> Account:
        account = self._accounts.get(id)
        if account is None:
            raise UnknownAccountError(id)
        return account

    def _forget_chat_files(self, account: Account) -> None:
        if account.photos:
            self.files.remove(*account.photos[-1].chat)
