"""The compose file and the image agree with the Procfile and the project's packages."""

from __future__ import annotations

import re
import subprocess
import sys
from configparser import ConfigParser
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it comes with what the tests need; its types do not

from runner import procfile
from tests.support.running import ROOT

DEPLOY = ROOT / "deploy"
COMMANDS = list(procfile.read(ROOT / "Procfile"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COPIED = [name for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]]


@pytest.mark.parametrize("name", ["compose.yaml", "nginx/compose.conf"])
def test_the_compose_files_are_generated_from_the_procfile_and_the_configuration_of_nginx(
    name: str, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, ROOT / "deploy" / "compose.py", tmp_path], check=True)
    assert (DEPLOY / name).read_text() == (tmp_path / name).read_text()


def test_each_line_of_the_procfile_is_a_service_beside_redis_and_nginx() -> None:
    assert set(SERVICES) == {*COMMANDS, "redis", "nginx"}
    assert {name: SERVICES[name]["command"] for name in COMMANDS} == {name: ["run", name] for name in COMMANDS}
    assert 'ENTRYPOINT ["avatar-warmer"]' in DOCKERFILE


def test_each_service_waits_for_redis_and_has_few_rights() -> None:
    wanted = {
        "depends_on": {"redis": {"condition": "service_healthy"}},
        "read_only": True,
        "cap_drop": ["ALL"],
        "restart": "always",
        "init": True,
    }
    assert {name: {key: SERVICES[name].get(key) for key in wanted} for name in COMMANDS} == dict.fromkeys(
        COMMANDS, wanted
    )


def test_web_and_workers_share_the_metrics_folder_in_memory_that_only_the_user_of_the_image_may_read() -> None:
    (folder,) = re.findall(r"PROMETHEUS_MULTIPROC_DIR=(\S+)", DOCKERFILE)
    assert [SERVICES[name]["volumes"] for name in COMMANDS] == [[f"metrics:{folder}"]] * len(COMMANDS)
    options = COMPOSE["volumes"]["metrics"]["driver_opts"]
    assert (options["type"], options["device"]) == ("tmpfs", "tmpfs")
    user, group = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[0]
    assert set(options["o"].split(",")) == {"mode=0700", f"uid={user}", f"gid={group}"}


def test_redis_persists_data_and_evicts_only_keys_with_a_ttl() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy volatile-lfu" in command
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]


def test_ports_are_open_on_loopback_only() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["127.0.0.1:8000:8000"],
        "flower": ["127.0.0.1:5555:5555"],
        "nginx": ["127.0.0.1:8080:80"],
    }


def test_nginx_finds_the_web_tier_at_its_fixed_address() -> None:
    address = SERVICES["web"]["networks"]["default"]["ipv4_address"]
    assert f"    server {address}:8000 " in (DEPLOY / "nginx" / "compose.conf").read_text()


def test_no_other_container_can_get_the_fixed_address() -> None:
    address = ip_address(SERVICES["web"]["networks"]["default"]["ipv4_address"])
    (pool,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert address in ip_network(pool["subnet"])
    assert address not in ip_network(pool["ip_range"])
    assert ip_network(pool["ip_range"]).subnet_of(ip_network(pool["subnet"]))  # type: ignore[arg-type]  # both are IPv4


def test_every_service_has_a_health_check_and_the_one_of_the_web_tier_requests_healthz() -> None:
    assert [name for name, service in SERVICES.items() if not service.get("healthcheck", {}).get("test")] == []
    assert "/healthz" in " ".join(SERVICES["web"]["healthcheck"]["test"])


def test_the_image_contains_every_package_and_only_the_allowed_files() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    packages = {name.rstrip("*") for name in config["options.packages.find"]["include"].split()}
    assert packages <= set(COPIED)
    assert all((ROOT / name).exists() for name in COPIED)
    allowed = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert allowed == set(COPIED)


def test_the_image_installs_locked_versions_and_does_not_run_as_root() -> None:
    assert "--require-hashes --only-binary :all: --no-deps -r requirements/run.lock" in DOCKERFILE
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
