"""How the trial reads the page, and that it runs or replaces every command on it."""

from __future__ import annotations

import re

import pytest

from tests.support.running import ROOT
from trial.page import Command, put_last, read_commands
from trial.substitutes import TABLE, substitute
from trial.wheels import NAME

PAGE = (ROOT / "docs" / "deployment.md").read_text("utf-8")
COMMANDS = read_commands(PAGE)
EXAMPLE = """\
## First
```sh
one
cat > file <<END
  # text
END
two \\
  more
# a remark
```
Words.
### Second
```nginx
not a command
```
```console
$ question
an answer
of two lines
$ silent
```
"""


def test_the_commands_of_a_page_are_lines_here_documents_and_questions_with_their_answers() -> None:
    assert read_commands(EXAMPLE) == [
        Command("First", "one"),
        Command("First", "cat > file <<END\n  # text\nEND"),
        Command("First", "two \\\n  more"),
        Command("Second", "question", "an answer\nof two lines\n"),
        Command("Second", "silent", ""),
    ]


def test_a_section_can_be_put_last() -> None:
    ordered = put_last(read_commands(EXAMPLE), "First")
    assert [command.section for command in ordered] == ["Second", "Second", "First", "First", "First"]
    assert ordered[2].text == "one"


@pytest.mark.parametrize(
    ("answer", "output", "is_answer"),
    [
        ("", "anything", True),
        ("200\n", "200", True),
        ("200\n", "2001", False),
        ("a.c\n", "abc", False),
        ("{…ok…}\n", '{"status":"ok",\n"checks":{}}\n', True),
        ("All is well.…\n", "Not all is well.\n", False),
    ],
)
def test_an_answer_is_the_whole_output_with_anything_for_the_dots(answer: str, output: str, is_answer: bool) -> None:
    assert Command("", "", answer).is_answered_by(output) is is_answer


def test_every_row_of_the_table_of_substitutes_replaces_something_and_says_why() -> None:
    used = [row for command in COMMANDS for row in substitute(command.section, command.text)[1]]
    assert [row for row in TABLE if row not in used or not row.why] == []


def test_what_cannot_run_on_an_empty_machine_is_replaced() -> None:
    typed = "\n".join(substitute(command.section, command.text)[0] for command in COMMANDS)
    cannot = ("certbot certonly", "certbot delete", "docker ", "git ", "AVATAR_SITE=avatars", "./scripts/")
    assert [words for words in cannot if words in typed] == []


def test_every_block_of_the_page_is_run_or_shows_a_configuration() -> None:
    kinds = re.findall(r"^```(\w+)$", PAGE, re.MULTILINE)
    assert set(kinds) == {"sh", "console", "nginx"}
    blocks = re.findall(r"^```(?:sh|console)\n", PAGE, re.MULTILINE)
    assert len(COMMANDS) >= len(blocks)


def test_the_guide_tells_every_step_from_the_user_to_the_last_file_and_the_last_section_removes_it() -> None:
    sections = list(dict.fromkeys(command.section for command in COMMANDS))
    steps = ["User and folder", "Install", "Keys and settings", "Redis", "systemd", "First check", "nginx and TLS"]
    steps += ["First alert", "Backup", "Upgrade", "Rollback"]
    assert sections[: len(steps)] == steps
    assert sections[-1] == "Uninstall"


def test_each_section_goes_to_the_folder_of_the_release_before_it_uses_its_files() -> None:
    folders: dict[str, str] = {}
    astray = []
    for command in COMMANDS:
        if command.text.startswith("cd "):
            folders[command.section] = command.text
        elif re.search(r"(?<![\w/])(?:files|\.venv)/", command.text) and command.section not in folders:
            astray.append(command)
    assert astray == []
    assert set(folders.values()) == {"cd /opt/avatar-warmer"}


def test_what_the_guide_installs_outside_the_folder_is_replaced_by_an_upgrade_and_by_a_rollback() -> None:
    installed = re.compile(r"(?:>|0755 \S+|cp \S+) (/(?:etc/(?:systemd|nginx/conf|prometheus/alerts)|usr)\S+)$")
    places: dict[str, set[str]] = {"Upgrade": set(), "Rollback": set()}
    guided: set[str] = set()
    for command in COMMANDS[: COMMANDS.index(next(one for one in COMMANDS if one.section == "Caddy"))]:
        places.get(command.section, guided).update(installed.findall(command.text))
    assert guided
    assert places == {"Upgrade": guided, "Rollback": guided}


def test_a_release_that_comes_or_goes_restarts_every_worker_before_the_web_tier() -> None:
    for section in ("Upgrade", "Rollback"):
        typed = [command.text for command in COMMANDS if command.section == section]
        assert [text for text in typed if re.match("systemctl restart .*avatar-warmer", text)] == [
            "systemctl restart 'avatar-warmer-worker*' avatar-warmer-beat",
            "systemctl restart avatar-warmer-web avatar-warmer-flower",
        ]


def test_an_upgrade_installs_granian_into_the_new_environment_for_those_who_use_it() -> None:
    upgrade = PAGE.split("### Upgrade\n")[1].split("\n### ")[0]
    (old,) = (command.text for command in COMMANDS if "granian.lock" in command.text)
    new = old.replace(".venv/", "0.2.0/").replace("files/", "0.2.0/lib/python3*/site-packages/avatar_warmer/")
    assert f"`{new}`" in upgrade


def test_a_restore_is_of_a_partner_who_was_forgotten_and_from_a_list_with_partners() -> None:
    typed = [command.text for command in COMMANDS if command.section == "Backup"]
    restore = next(index for index, text in enumerate(typed) if text.startswith("avatar-warmer warm"))
    assert "avatar-warmer forget --yes 42" in typed[:restore]
    assert "systemctl stop avatar-warmer-backup.timer" in typed[:restore]
    assert any("grep -l '^[0-9]'" in text for text in typed[:restore])


def test_the_page_names_two_releases_to_upgrade_and_to_roll_back() -> None:
    assert len(set(NAME.findall(PAGE))) == 2


def test_the_user_of_redis_has_the_rights_that_the_operations_page_names() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (rights,) = re.findall(r"ACL SETUSER avatars on ><password> (.*)", operations)
    assert f'on >$password {rights.replace("<bot id>", "123456789")}"' in PAGE
