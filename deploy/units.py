"""Write deploy/systemd/, or the folder given as the argument, from the Procfile."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from runner import procfile

ROOT = Path(__file__).resolve().parents[1]
TARGET = """\
# Written by deploy/units.py from the Procfile.
[Unit]
Description=avatar-warmer
Wants={wants}

[Install]
WantedBy=multi-user.target
"""
SERVICE = """\
# Written by deploy/units.py from the Procfile.
[Unit]
Description=avatar-warmer: {name}
PartOf=avatar-warmer.target
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
User=avatar-warmer
WorkingDirectory=/opt/avatar-warmer
EnvironmentFile=/etc/avatar-warmer.env
# One folder for web and workers, emptied at each boot.
Environment=PROMETHEUS_MULTIPROC_DIR=/run/avatar-warmer
RuntimeDirectory=avatar-warmer
RuntimeDirectoryPreserve=yes
Environment=DATA_DIR=/var/lib/avatar-warmer
StateDirectory=avatar-warmer
ExecStart=/opt/avatar-warmer/.venv/bin/avatar-warmer run {name}
Restart=always
RestartSec=1
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec=30
LimitNOFILE={open_files}
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictSUIDSGID=yes
CapabilityBoundingSet=
UMask=0077

[Install]
WantedBy=avatar-warmer.target
"""

BACKUP = """\
# Written by deploy/units.py.
[Unit]
Description=avatar-warmer: the list of the partners, one file for each day of the week

[Service]
Type=oneshot
User=avatar-warmer
WorkingDirectory=/opt/avatar-warmer
EnvironmentFile=/etc/avatar-warmer.env
Environment=DATA_DIR=/var/lib/avatar-warmer
StateDirectory=avatar-warmer avatar-warmer/backup
UMask=0077
ExecStart=/bin/sh /opt/avatar-warmer/files/deploy/backup \\
  /var/lib/avatar-warmer/backup /opt/avatar-warmer/.venv/bin/avatar-warmer
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=strict
CapabilityBoundingSet=
"""
TIMER = """\
# Written by deploy/units.py.
[Unit]
Description=avatar-warmer: the list of the partners, every night

[Timer]
OnCalendar=03:30
RandomizedDelaySec=30min
Persistent=yes

[Install]
WantedBy=timers.target
"""


def main(folder: Path) -> None:
    """One unit per command, the target that starts them all, and the nightly list of the partners."""
    commands = procfile.read(ROOT / "Procfile")
    names = {name: f"avatar-warmer-{name}.service" for name in commands}
    folder.mkdir(parents=True, exist_ok=True)
    for name in commands:
        open_files = 8192 if name == "web" else 4096  # its clients
        (folder / names[name]).write_text(SERVICE.format(name=name, open_files=open_files))
    (folder / "avatar-warmer-backup.service").write_text(BACKUP)
    (folder / "avatar-warmer-backup.timer").write_text(TIMER)
    (folder / "avatar-warmer.target").write_text(TARGET.format(wants=" ".join(names.values())))


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]) if sys.argv[1:] else ROOT / "deploy" / "systemd")
