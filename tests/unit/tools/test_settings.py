from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from services.runtime.errors import SettingsError
from services.tools.settings import Settings


def test_defaults_suit_development() -> None:
    settings = Settings.from_env({})
    assert settings.listen == "127.0.0.1:50052"
    assert settings.queue_address == "127.0.0.1:50051"
    assert settings.fetch_allow == ()
    assert settings.temp_folder == Path(".etapa/uploads")


def test_files_lie_below_the_home_of_the_stack() -> None:
    settings = Settings.from_env({"ETAPA_HOME": "/srv/etapa", "ETAPA_BLOBS": "s3://bucket/e"})
    assert settings.temp_folder == Path("/srv/etapa/uploads")
    assert settings.blobs == "s3://bucket/e"


def test_several_replicas_may_be_named() -> None:
    settings = Settings.from_env({"ETAPA_QUEUE_ADDRESS": "ipv4:10.0.0.1:50051,10.0.0.2:50051"})
    assert settings.queue_address == "ipv4:10.0.0.1:50051,10.0.0.2:50051"


def test_fetch_allow_reads_networks() -> None:
    settings = Settings.from_env({"ETAPA_TOOLS_FETCH_ALLOW": "127.0.0.0/8, ::1/128"})
    assert settings.fetch_allow == (
        ipaddress.ip_network("127.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(
            {
                "ETAPA_TOOLS_FETCH_ALLOW": "everything",
                "ETAPA_TOOLS_WORKERS": "many",
                "ETAPA_TOOLS_LISTEN": "here",
                "ETAPA_QUEUE_ADDRESS": "http://queue",
                "ETAPA_OBSERVABILITY_ADDRESS": "observability",
            }
        )
    assert len(caught.value.problems) == 5
