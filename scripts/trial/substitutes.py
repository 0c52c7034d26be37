"""What is typed otherwise than the page says, because an empty machine without a domain cannot do it."""

from __future__ import annotations

from dataclasses import dataclass

CERTIFICATE = """\
mkdir -p /etc/letsencrypt/live/avatars.example.org && cd /etc/letsencrypt/live/avatars.example.org && \
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=avatars.example.org \
-addext subjectAltName=DNS:avatars.example.org -keyout privkey.pem -out fullchain.pem && \
cp fullchain.pem /usr/local/share/ca-certificates/avatars.crt && update-ca-certificates && cd /opt/avatar-warmer"""


@dataclass(frozen=True)
class Substitute:
    """Replaces a text in the commands of a section."""

    section: str
    old: str
    new: str
    why: str


TABLE = (
    Substitute(
        "Keys and settings",
        "HOST=127.0.0.1\n",
        "HOST=127.0.0.1\nTELEGRAM_API_URL=http://127.0.0.1:8081\n",
        "there is no bot: the fake Telegram of the project answers for the Bot API, and takes the token of the page",
    ),
    Substitute(
        "nginx and TLS",
        "certbot certonly --nginx --domain avatars.example.org --email you@example.org --agree-tos --no-eff-email "
        "--deploy-hook 'systemctl reload nginx'",
        CERTIFICATE,
        "no authority can reach the machine, and the domain is nobody's: a certificate of its own, which it trusts",
    ),
    Substitute(
        "Caddy",
        "AVATAR_SITE=avatars.example.org",
        "AVATAR_SITE=localhost",
        "no authority can reach the machine: for localhost Caddy is its own authority",
    ),
    Substitute(
        "Caddy",
        "curl -s -o /dev/null -w '%{http_code}\\n' https://avatars.example.org/",
        "curl -sk -o /dev/null -w '%{http_code}\\n' https://localhost/",
        "the machine does not trust Caddy's own authority",
    ),
    Substitute(
        "Containers",
        "docker compose -f deploy/compose.yaml",
        "true",
        "there is no container engine: scripts/try-deployment image follows the Dockerfile",
    ),
    Substitute("Containers", "git checkout v0.2.0", "true", "there is no clone, only the wheels"),
    Substitute(
        "Uninstall",
        "certbot delete --non-interactive --cert-name avatars.example.org",
        "rm -r /etc/letsencrypt/live/avatars.example.org",
        "the certificate is not certbot's",
    ),
)


def substitute(section: str, text: str) -> tuple[str, list[Substitute]]:
    """What is typed instead, and the rows of the table that say so."""
    used = []
    for row in TABLE:
        if row.section == section and row.old in text:
            text = text.replace(row.old, row.new)
            used.append(row)
    return text, used
