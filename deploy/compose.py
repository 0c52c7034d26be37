"""Write deploy/compose.yaml, or the file given as the argument, from the Procfile."""

import json
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from runner import procfile

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = "flower"  # it listens on 127.0.0.1, which nothing outside its container reaches
HEAD = """\
# Written by deploy/compose.py from the Procfile.
name: avatar-warmer

x-ours: &ours
  image: avatar-warmer
  build:
    context: ..
    dockerfile: deploy/Dockerfile
  env_file: ../.env
  environment:
    REDIS_URL: redis://redis:6379/0
    HOST: 0.0.0.0
    PORT: "8000"
  depends_on:
    redis:
      condition: service_healthy
  restart: always
  init: true
  stop_grace_period: 30s
  read_only: true
  tmpfs: [/tmp]
  volumes: ["metrics:/run/avatar-warmer"]  # one folder for web and workers, empty after a boot
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]

services:
  redis:
    image: valkey/valkey:8
    command: [valkey-server, --appendonly, "yes", --save, "", --maxmemory, 512mb, --maxmemory-policy, volatile-lfu]
    volumes: ["redis:/data"]
    restart: always
    stop_grace_period: 30s
    healthcheck:
      test: [CMD, valkey-cli, ping]
      interval: 5s
      timeout: 2s
      start_period: 30s
"""
SERVICE = """\
  {name}:
    <<: *ours
    command: {command}
"""
WEB = """\
    ports: ["127.0.0.1:8000:8000"]
    healthcheck:
      test: [CMD, python, -c, "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
      interval: 5s
      timeout: 3s
      start_period: 30s
"""
TAIL = """\

volumes:
  redis:
  metrics:
    driver_opts:
      type: tmpfs
      device: tmpfs
      o: mode=0700,uid=10001,gid=10001
"""


def main(file: Path) -> None:
    """One service per command, and the Redis that they share."""
    services = ""
    for name, command in procfile.read(ROOT / "Procfile").items():
        if name != LEFT_OUT:
            words = json.dumps(shlex.split(command.replace("$", "$$")))  # $ is special in compose
            services += SERVICE.format(name=name, command=words) + (WEB if name == "web" else "")
    file.write_text(HEAD + services + TAIL)


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]) if sys.argv[1:] else ROOT / "deploy" / "compose.yaml")
