from __future__ import annotations

import pytest

from services.runtime.errors import SettingsError
from services.runtime.settings import Env


@pytest.mark.parametrize(
    "value", ["queue:50051", "[::1]:50051", "ipv4:127.0.0.1:1", "ipv4:127.0.0.1:1,127.0.0.1:2"]
)
def test_a_target_is_an_address_or_a_list_of_replicas(value: str) -> None:
    env = Env({"ETAPA_QUEUE_ADDRESS": value})
    assert env.target("ETAPA_QUEUE_ADDRESS", "") == value
    env.finish()


@pytest.mark.parametrize("value", ["queue", "ipv4:", "ipv4:127.0.0.1", "a:1,b:2", "http://a:1"])
def test_a_target_that_no_channel_can_dial_is_refused(value: str) -> None:
    env = Env({"ETAPA_QUEUE_ADDRESS": value})
    env.target("ETAPA_QUEUE_ADDRESS", "")
    with pytest.raises(SettingsError, match="ETAPA_QUEUE_ADDRESS"):
        env.finish()


def test_an_address_is_one_host_and_port() -> None:
    env = Env({"A": "127.0.0.1:1", "B": "127.0.0.1", "C": "ipv4:127.0.0.1:1"})
    for name in "ABC":
        env.address(name, "")
    assert len(env.problems) == 2


def test_a_place_for_files_is_in_the_home_folder_unless_it_has_its_own_variable() -> None:
    assert Env({}).home("ETAPA_BLOBS", "blobs") == ".etapa/blobs"
    assert Env({"ETAPA_HOME": "/srv/etapa"}).home("ETAPA_BLOBS", "blobs") == "/srv/etapa/blobs"
    both = {"ETAPA_HOME": "/srv/etapa", "ETAPA_BLOBS": "s3://bucket/etapa"}
    assert Env(both).home("ETAPA_BLOBS", "blobs") == "s3://bucket/etapa"
