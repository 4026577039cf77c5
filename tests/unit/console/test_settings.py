from __future__ import annotations

import pytest

from services.console.settings import Settings
from services.runtime.errors import SettingsError


def test_defaults_suit_one_machine() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.listen == "127.0.0.1:8080"


def test_media_comes_from_where_the_queue_says_that_links_lead() -> None:
    env = {"ETAPA_WEBHOOK_PUBLIC_URL": "https://hooks.example.com/base/"}
    assert Settings.from_env(env).media_origin == "https://hooks.example.com"
    env["ETAPA_QUEUE_MEDIA_URL"] = "https://media.example.com"
    assert Settings.from_env(env).media_origin == "https://media.example.com"


@pytest.mark.parametrize(
    "env",
    [
        {"ETAPA_CONSOLE_LISTEN": "8080"},
        {"ETAPA_QUEUE_ADDRESS": "queue"},
        {"ETAPA_CONSOLE_MAX_UPLOAD_BYTES": "12"},
        {"ETAPA_QUEUE_MEDIA_URL": "https://a.example; script-src *"},
        {"ETAPA_QUEUE_MEDIA_URL": "ftp://a.example"},
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env)
    assert next(iter(env.values())) in str(caught.value)
