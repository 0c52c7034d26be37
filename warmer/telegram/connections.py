"""The way to Telegram: pooled connections. An idle one is dropped, a reset one replaced, and a watchdog can cut each.

A proxy is always asked for a tunnel (CONNECT), so that it sees no URL, and thus no token.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import requests
from pydantic import SecretStr
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from warmer.http_url import is_sent_in_plain_text
from warmer.settings import Settings
from warmer.telegram.dial import Dialer
from warmer.telegram.watchdog import follow, is_cut

IDLE_SECONDS = 30.0  # routers and load balancers forget a silent connection after about a minute, and tell nobody
log = logging.getLogger(__name__)
RESET = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


@dataclass(frozen=True, slots=True)
class Server:
    """The place of the Bot API, and the way there. `.env.example` explains each field."""

    api_url: str
    file_url: str = ""  # empty: the same
    is_test: bool = False
    proxy: SecretStr | None = None
    ca_file: Path | None = None

    @property
    def roots(self) -> tuple[str, str]:
        """The prefixes of a method's name and of a file's path. `{token}` stands for the token."""
        suffix = "/test" if self.is_test else ""
        return f"{self.api_url}/bot{{token}}{suffix}", f"{self.file_url or self.api_url}/file/bot{{token}}{suffix}"

    @classmethod
    def read(cls, settings: Settings) -> Server:
        """The one that the settings name."""
        return cls(
            settings.telegram_api_url,
            settings.telegram_file_url,
            settings.telegram_test,
            settings.telegram_proxy,
            settings.telegram_ca_file,
        )


class _Connection:
    """Tells the watchdog which socket the call under way uses, and connects by a dialer."""

    sock: Any
    host: str
    port: int
    timeout: Any
    socket_options: Any
    dialer: Dialer
    idle_since: float | None = None  # by the pool's clock, None until its first use has ended

    def _new_conn(self) -> socket.socket:
        self.idle_since = None
        sock = self.dialer.connect(self.host, self.port, self.timeout, self.socket_options or ())
        follow(sock)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            follow(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]  # a mixin before urllib3's connection


class _PlainConnection(_Connection, HTTPConnection):
    pass


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool:
    """Drops a connection that was idle for too long, and replaces one that turns out to be reset."""

    proxy: Any

    def __init__(self, *args: Any, dialer: Dialer, clock: Callable[[], float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dialer = dialer
        self._clock = clock

    def _new_conn(self) -> Any:
        connection = super()._new_conn()  # type: ignore[misc]  # a mixin before urllib3's pool, as below
        connection.dialer = self._dialer
        return connection

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        if connection.idle_since is not None and self._clock() - connection.idle_since >= IDLE_SECONDS:
            connection.close()
        return connection

    def _put_conn(self, connection: Any) -> None:
        if connection is not None:
            connection.idle_since = self._clock()
        super()._put_conn(connection)  # type: ignore[misc]

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> BaseHTTPResponse:
        is_reused = conn.sock is not None and conn.idle_since is not None
        send = partial(super()._make_request, conn, *args, **kwargs)  # type: ignore[misc]
        try:
            return send()  # type: ignore[no-any-return]  # as urllib3's
        except RESET:
            if not is_reused or is_cut():
                raise
        # The server closed it while it was idle, and the call came too late to notice.
        conn.close()
        if self.proxy is not None:
            self._prepare_proxy(conn)  # type: ignore[attr-defined]
        return send()  # type: ignore[no-any-return]  # as urllib3's


class _PlainPool(_Pool, HTTPConnectionPool):
    """urllib3 has no tunnel for plain HTTP: it would show the proxy the URL."""

    ConnectionCls = _PlainConnection

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        if self.proxy is not None:
            connection.host, connection.port = self.proxy.host, self.proxy.port
        return connection

    def _prepare_proxy(self, conn: Any) -> None:
        conn.set_tunnel(self.host, self.port, self.proxy_headers)
        conn.connect()


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Adapter(HTTPAdapter):
    """The adapter of `requests` with such pools."""

    def __init__(
        self, *args: Any, dialer: Dialer | None = None, clock: Callable[[], float] = time.monotonic, **kwargs: Any
    ) -> None:
        """`clock`: tells seconds. `dialer`: connects, to any address unless it is given."""
        dialer, self._pools = dialer or Dialer(), dict[str, Any]()
        for scheme, pool in (("http", _PlainPool), ("https", _TlsPool)):
            self._pools[scheme] = partial(pool, dialer=dialer, clock=clock)
        super().__init__(*args, **kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        if not (proxy := select_proxy(str(request.url), proxies)):
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        host, options = self.build_connection_pool_key_attributes(request, verify, cert)
        # Not the proxy manager's own method: for plain HTTP it would connect to the proxy as if that were the host.
        return PoolManager.connection_from_host(self.proxy_manager_for(proxy), **host, pool_kwargs=dict(options))

    def request_url(self, request: PreparedRequest, _proxies: Any) -> str:
        """The path alone: a proxy opens a tunnel and sees no request."""
        return str(request.path_url)


class _NoRedirectSession(requests.Session):
    """Knows no redirects: requests reads the body of one to its end, however long, even if it follows none."""

    def get_redirect_target(self, _response: Response) -> None:
        """None, as for any other answer."""


def make_session(
    connections: int, clock: Callable[[], float] = time.monotonic, dialer: Dialer | None = None
) -> requests.Session:
    """A session with so many connections, which takes no proxy and no login from the environment and keeps no cookie.

    It follows no redirect, and reads none. `dialer`: that of the adapter.
    """
    session = _NoRedirectSession()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["Accept-Encoding"] = "identity"
    adapter = Adapter(
        dialer=dialer, clock=clock, pool_connections=2, pool_maxsize=connections, pool_block=True, max_retries=0
    )
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def open_session(server: Server, connections: int, clock: Callable[[], float] = time.monotonic) -> requests.Session:
    """A session with so many connections; plain HTTP beyond this machine is logged as a warning."""
    if any(is_sent_in_plain_text(root) for root in server.roots):
        log.warning(
            "⚠️ The bot token crosses the network in plain text: TELEGRAM_API_URL or TELEGRAM_FILE_URL is http://"
        )
    session = make_session(connections, clock)  # no proxy and no netrc from the environment sees the token
    session.verify = str(server.ca_file) if server.ca_file else True
    if server.proxy:
        session.proxies = dict.fromkeys(("http", "https"), server.proxy.get_secret_value())
    return session
