"""A backend's and a user's calls of the partner and photo routes."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.web_parts import as_user

Headers = dict[str, str]


class Backend:
    """A backend's client."""

    def __init__(self, client: FlaskClient, headers: Headers) -> None:
        self.client, self.headers = client, headers

    def put(self, user_id: object, name: object = "Ann", photo: str | None = None) -> Any:
        body = {"name": name, "photo_file_id": photo} if photo else {"name": name}
        return self.client.put(f"/api/partner/{user_id}", json=body, headers=self.headers)

    def get(self, user_id: object) -> Any:
        return self.client.get(f"/api/partner/{user_id}", headers=self.headers)

    def delete(self, user_id: object) -> Any:
        return self.client.delete(f"/api/partner/{user_id}", headers=self.headers)

    def warm(self, *file_ids: object) -> Any:
        return self.client.post("/api/photos/warm", json={"photo_file_ids": file_ids}, headers=self.headers)

    def resolve(self, *ids: object) -> Any:
        return self.client.post("/api/photos/resolve", json={"ids": ids}, headers=self.headers)

    def refresh(self, *ids: object) -> Any:
        return self.client.post("/api/photos/refresh", json={"ids": ids}, headers=self.headers)

    def recent(self, query: str = "") -> Any:
        return self.client.get(f"/api/partner/recent{query}", headers=self.headers)

    def recent_ids(self, query: str = "") -> list[int]:
        return [partner["id"] for partner in self.recent(query).json["partners"]]


@pytest.fixture
def backend(client: FlaskClient, as_server: Headers) -> Backend:
    return Backend(client, as_server)


def me(client: FlaskClient, user_id: int, first_name: str = "Ann", method: str = "POST") -> Any:
    return client.open("/api/partner/me", method=method, headers=as_user(user_id, first_name))


def ask(client: FlaskClient, credential: str, path: str = "/api/partner/recent", method: str = "GET") -> int:
    return client.open(path, method=method, headers={"Authorization": credential}).status_code
