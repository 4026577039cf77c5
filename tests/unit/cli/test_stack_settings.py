from __future__ import annotations

import json
from dataclasses import replace

import pytest

from services.cli.addresses import Addresses, reachable
from services.cli.service_table import NAMES
from services.cli.stack_env import grpc_target, service_env
from services.cli.stack_settings import EMULATOR_KEY, StackSettings
from services.emulator.settings import default_accounts
from services.runtime.errors import SettingsError


def test_without_a_key_the_emulator_is_part_of_the_stack_and_the_account() -> None:
    settings = StackSettings.from_env({})
    assert tuple(one.name for one in settings.services) == NAMES
    env = service_env(settings, "queue", "dsn", {})
    account = json.loads(env["ETAPA_QUEUE_ACCOUNTS"])[0]
    assert account["base_url"] == "http://127.0.0.1:8090"
    assert env["ETAPA_WEBHOOK_PUBLIC_URL"] == "http://127.0.0.1:8081"


def test_the_emulator_knows_the_key_and_admits_more_than_we_send() -> None:
    accounts = {one.key: one for one in default_accounts()}
    env = service_env(StackSettings.from_env({}), "queue", "dsn", {})
    slots = json.loads(env["ETAPA_QUEUE_ACCOUNTS"])[0]["slots"]
    assert accounts[EMULATOR_KEY].concurrency > slots


def test_with_a_key_the_real_provider_is_used_and_no_emulator() -> None:
    env = {"RUNNINGHUB_API_KEY": "secret-key", "ETAPA_PUBLIC_URL": "https://etapa.example/"}
    settings = StackSettings.from_env(env)
    assert not settings.has("emulator")
    queue = service_env(settings, "queue", "dsn", {})
    account = json.loads(queue["ETAPA_QUEUE_ACCOUNTS"])[0]
    assert account["api_key"] == "secret-key"
    assert account["base_url"].startswith("https://www.runninghub.")
    assert queue["ETAPA_WEBHOOK_PUBLIC_URL"] == "https://etapa.example"
    assert "secret-key" not in repr(settings)


def test_with_a_key_but_no_public_url_no_callback_is_asked_for() -> None:
    settings = StackSettings.from_env({"RUNNINGHUB_API_KEY": "k"})
    assert service_env(settings, "queue", "", {})["ETAPA_WEBHOOK_PUBLIC_URL"] == ""


def test_accounts_given_in_full_win_over_the_single_key() -> None:
    env = {"RUNNINGHUB_API_KEY": "k", "ETAPA_QUEUE_ACCOUNTS": "[1]"}
    assert StackSettings.from_env(env).accounts == "[1]"


def test_the_address_of_a_service_can_be_set() -> None:
    settings = StackSettings.from_env({"ETAPA_CONSOLE_LISTEN": "127.0.0.1:9000"})
    assert settings.wanted_addresses()["console"] == "127.0.0.1:9000"


def test_all_wrong_settings_are_listed_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        StackSettings.from_env(
            {"ETAPA_UP_DRAIN_S": "soon", "ETAPA_UP_LOG_LIMIT_BYTES": "1"}, replicas={"qeue": 1}
        )
    assert len(caught.value.problems) == 3


def test_one_replica_is_dialled_plainly_and_several_by_a_list() -> None:
    assert grpc_target(["0.0.0.0:1"]) == "127.0.0.1:1"
    assert grpc_target(["127.0.0.1:1", "127.0.0.1:2"]) == "ipv4:127.0.0.1:1,127.0.0.1:2"


@pytest.mark.parametrize(
    ("listen", "dialled"),
    [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")],
)
def test_a_listener_on_all_addresses_is_dialled_on_loopback(listen: str, dialled: str) -> None:
    assert reachable(listen) == dialled


def test_a_service_without_tables_is_not_told_the_database() -> None:
    settings = replace(StackSettings.from_env({}), env={"ETAPA_DATABASE_URL": "dsn"})
    assert "ETAPA_DATABASE_URL" not in service_env(settings, "console", "", {})


def test_default_addresses_are_the_documented_ones() -> None:
    ports = [int(getattr(Addresses(), name).split(":")[1]) for name in Addresses.__slots__]
    assert ports == [8080, 8081, 50051, 50052, 50053, 4317, 16686, 8090, 8091]
