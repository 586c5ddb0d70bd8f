"""The check of a Redis user's rights names what is missing, and runs none of the commands."""

from typing import Any

import pytest

from jobs.errors import StoreUnavailable
from jobs.settings import Settings
from jobs.storage.rights import ROLES, checks_of, in_words, missing_rights
from jobs.storage.sync_store import Store
from tests.support.redis_rights import PASSWORD, documented_users

EVERYTHING = ("~*", "&*", "+@all")
# Redis allows the first two to everybody, redis-py does without the third, and only Celery's tools need BRPOP.
NOT_CHECKED = {"auth", "hello", "client|setinfo", "brpop", "info"}  # INFO: of web processes
ONLY_CQ = "~cq:* ~celery-task-meta-* ~chatqueue*"


@pytest.fixture
def missing_for(redis_client, redis_url):
    """The missing rights of a role, for a user with these rules."""
    stores = []

    def check(role, *rules, **settings):
        redis_client.execute_command("ACL", "SETUSER", "checked", "reset", "on", f">{PASSWORD}", *rules)
        url = redis_url.replace("://", f"://checked:{PASSWORD}@")
        checked = Settings(REDIS_URL=url, **settings)
        stores.append(Store.open(checked))
        return stores[-1].run(missing_rights(role, checked))

    yield check
    for store in stores:
        store.close()
    redis_client.execute_command("ACL", "DELUSER", "checked")


@pytest.mark.parametrize("role", ROLES)
def test_the_documented_rights_and_all_rights_are_enough(missing_for, role):
    """What the documentation lists is what the check asks for."""
    assert missing_for(role, *documented_users()[f"chatqueue-{role}"]) == ()
    assert missing_for(role, *EVERYTHING) == ()


@pytest.mark.parametrize(
    ("role", "rules", "missing"),
    [
        ("worker", "~* &* +@all -@dangerous -@admin", ["the command info"]),
        ("web", "~* &* +@all -@dangerous -@admin", []),
        ("web", "~* &* +@all -hset -zadd", ["the command hset", "the command zadd"]),
        ("worker", "~* &* +@all -script|load -blmpop", ["the command script|load", "the command blmpop"]),
        (
            "worker",
            f"{ONLY_CQ} &* +@all",
            [f"the keys {k}" for k in ("_kombu.binding*", "*.celery.pidbox", "celeryev.*")],
        ),
        ("web", "~other:* &* +@all", ["the keys cq:*", "the keys celery-task-meta-*", "the keys chatqueue*"]),
        ("web", "~chatqueue* ~celery-task-meta-* %R~cq:* &* +@all", ["the keys cq:*"]),
        (
            "web",
            "~* resetchannels &cq:* +@all",
            ["the command publish on the channels celery-task-meta-*"],
        ),
        (
            "worker",
            "~* resetchannels &cq:* &celery-task-meta-* &/0.celeryev/* +@all",
            [
                "the command publish on the channels /0.celery.pidbox",
                "the command subscribe on the channels /0.celery.pidbox",
                "the command psubscribe on the channels /0.celeryev/worker.*",
            ],
        ),
    ],
)
def test_each_missing_right_is_named(missing_for, role, rules, missing):
    """An operator needs the command, the keys or the channels, not the fact that something is missing."""
    assert list(missing_for(role, *rules.split())) == missing


def test_a_user_who_may_not_run_scripts_is_told_so(missing_for):
    """The check itself is a script, so the server's own refusal names the command."""
    with pytest.raises(StoreUnavailable, match="NOPERM: the command evalsha"):
        missing_for("web", "~*", "&*", "+@read")


def test_rights_that_only_some_settings_need_are_asked_for_with_them(missing_for):
    """WAITAOF for the disk, WAIT for replicas, LPOP where another broker carries the messages."""
    rules = (*EVERYTHING, "-waitaof", "-wait", "-lpop")
    another = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}

    assert missing_for("web", *rules) == ()
    assert missing_for("web", *rules, durability="disk") == ("the command waitaof",)
    assert missing_for("web", *rules, durability="replicas=1") == ("the command wait",)
    assert missing_for("web", *rules, **another) == ("the command lpop",)
    assert (
        missing_for("worker", "~cq:*", "~celery-task-meta-*", "&cq:*", "&celery-task-meta-*", "+@all", **another) == ()
    )


def test_the_check_changes_nothing(missing_for, redis_client):
    """It names real keys and commands that write, and may run every few seconds."""
    for role in ROLES:
        missing_for(role, *EVERYTHING)

    assert redis_client.dbsize() == 0


@pytest.mark.parametrize("role", ROLES)
def test_the_check_and_the_documentation_list_the_same_commands(role):
    """A right that is only asked for would stop a documented user; one that is only listed would never be named."""
    listed = {rule[1:] for rule in documented_users()[f"chatqueue-{role}"] if rule.startswith("+")}
    options: list[dict[str, Any]] = [
        {},
        {"durability": "disk"},
        {"durability": "replicas=1"},
        {"CELERY_BROKER_URL": "redis://h:1/0"},
    ]
    checks = [check for more in options for check in checks_of(role, Settings(REDIS_URL="redis://h:1/3", **more))]
    commands = {check.right.split()[2] for check in checks if check.right.startswith("the command ")}

    assert commands - listed == set()
    assert listed - commands <= NOT_CHECKED


def test_many_missing_rights_are_counted():
    """A line of a log or a terminal does not hold forty of them."""
    assert in_words(["a", "b"]) == "a, b"
    assert in_words([str(number) for number in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
