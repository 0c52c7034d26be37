"""Write deploy/compose.yaml and deploy/nginx/compose.conf, or both into the folder given, from the Procfile.

The configuration of nginx is that of a machine, with the address of the web container and without IPv6, which the
network of compose has not.
"""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from runner import procfile

ROOT = Path(__file__).resolve().parents[1]
NGINX = ROOT / "deploy" / "nginx" / "avatar-warmer.conf"
WEB_ADDRESS = "10.213.87.8"  # fixed: nginx looks a name up only at its start, and a new container may have a new one
SUBNET = WEB_ADDRESS.rpartition(".")[0]
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
    FLOWER_ADDRESS: 0.0.0.0  # in its container; its port is open on 127.0.0.1 of the machine alone
    FLOWER_PORT: "5555"
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
    command: [run, {name}]
{more}    healthcheck:
      test: {check}
      interval: {seconds}s
      timeout: 10s
      start_period: 60s
"""
MORE = {
    "web": f'    ports: ["127.0.0.1:8000:8000"]\n    networks:\n      default:\n        ipv4_address: {WEB_ADDRESS}\n',
    "flower": '    ports: ["127.0.0.1:5555:5555"]\n',
}
NGINX_SERVICE = """\
  nginx:
    image: nginx:1.28
    ports: ["127.0.0.1:8080:80"]
    volumes: ["./nginx/compose.conf:/etc/nginx/conf.d/default.conf:ro", "pictures:/var/cache/nginx"]
    depends_on:
      web:
        condition: service_healthy
    restart: always
    read_only: true
    tmpfs: [/run, /tmp]
    cap_drop: [ALL]
    cap_add: [CHOWN, DAC_OVERRIDE, NET_BIND_SERVICE, SETGID, SETUID]
    security_opt: ["no-new-privileges:true"]
    healthcheck:
      test: [CMD, curl, -fsS, -o, /dev/null, "http://127.0.0.1/healthz"]
      interval: 10s
      timeout: 10s
      start_period: 60s
"""
TAIL = f"""\

networks:
  default:
    ipam:
      config: [{{subnet: {SUBNET}.0/24, ip_range: {SUBNET}.128/25}}]  # no other container gets a fixed address

volumes:
  redis:
  pictures:
  metrics:
    driver_opts:
      type: tmpfs
      device: tmpfs
      o: mode=0700,uid=10001,gid=10001
"""
ASK = "import urllib.request as web; web.urlopen('http://127.0.0.1:{port}/{path}', timeout=5)"


def write_check(name: str) -> tuple[list[str], int]:
    """The health check of a process, and the seconds between two."""
    if name in ("web", "flower"):
        place = {"port": 8000, "path": "healthz"} if name == "web" else {"port": 5555, "path": "healthcheck"}
        return ["CMD", "python", "-c", ASK.format(**place)], 10
    return ["CMD", "python", "-m", "warmer.worker.alive", "beat" if name == "beat" else "worker"], 30


def main(folder: Path) -> None:
    """One service per line, the Redis that they share, and nginx."""
    services = ""
    for name in procfile.read(ROOT / "Procfile"):
        check, seconds = write_check(name)
        services += SERVICE.format(name=name, more=MORE.get(name, ""), check=json.dumps(check), seconds=seconds)
    (folder / "nginx").mkdir(parents=True, exist_ok=True)
    (folder / "compose.yaml").write_text(HEAD + services + NGINX_SERVICE + TAIL)
    lines = NGINX.read_text("utf-8").replace("server 127.0.0.1:8000 ", f"server {WEB_ADDRESS}:8000 ")
    lines = re.sub(r".*listen \[::\].*\n", "", lines)  # the network of the containers has no IPv6
    (folder / "nginx" / "compose.conf").write_text("# Written by deploy/compose.py.\n" + lines)


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]) if sys.argv[1:] else ROOT / "deploy")
