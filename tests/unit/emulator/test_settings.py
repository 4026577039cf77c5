"""Settings come from the environment, with every problem named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.emulator.settings import Settings, default_accounts
from services.runtime.errors import SettingsError


def test_an_empty_environment_gives_the_development_defaults() -> None:
    settings = Settings.from_env({})
    assert (settings.listen, settings.admin_listen) == ("127.0.0.1:8090", "127.0.0.1:8091")
    assert settings.data == Path(".etapa/emulator")
    assert settings == Settings(accounts=default_accounts())


def test_accounts_are_read_with_type_slots_and_coins() -> None:
    accounts = Settings.from_env(
        {"ETAPA_EMULATOR_ACCOUNTS": "aa:SHARED:5:10, bb:NORMAL:2:0"}
    ).accounts
    assert [(a.key, a.api_type, a.concurrency, a.coins) for a in accounts] == [
        ("aa", "SHARED", 5, 10),
        ("bb", "NORMAL", 2, 0),
    ]


def test_keys_do_not_show_in_the_settings_text() -> None:
    settings = Settings.from_env({"ETAPA_EMULATOR_ACCOUNTS": "very-secret:SHARED:5:10"})
    assert "very-secret" not in repr(settings)
    assert "very-secret" not in repr(settings.accounts[0])


def test_all_problems_are_listed_and_no_key_is_repeated() -> None:
    env = {
        "ETAPA_EMULATOR_LISTEN": "8090",
        "ETAPA_EMULATOR_TIME_SCALE": "0",
        "ETAPA_EMULATOR_ACCOUNTS": "very-secret:GOLD:5:10",
        "ETAPA_EMULATOR_WEBHOOK_RETRIES_S": "20,soon",
        "ETAPA_EMULATOR_WEBHOOK_V2_FORM": "xml",
    }
    with pytest.raises(SettingsError) as raised:
        Settings.from_env(env)
    assert len(raised.value.problems) == len(env)
    assert "very-secret" not in str(raised.value)


def test_the_retry_schedule_is_a_list_of_seconds() -> None:
    settings = Settings.from_env({"ETAPA_EMULATOR_WEBHOOK_RETRIES_S": "1.5, 3"})
    assert settings.webhook_retries_s == (1.5, 3.0)
