"""What operators and the catalogue may set, and what is refused by its field."""

from __future__ import annotations

from typing import Any

import pytest

from services.queue.account import AccountSettings
from services.queue.domain import BadRequestError
from services.queue.mapping_operations import announcement_from
from services.queue.operations import check_catalogue, checked_account, read_accounts_setting
from services.runtime.errors import SettingsError
from tests.support.announcement import announcement


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://u:p@x"}, "base_url"),
        ({"base_url": "https://x?key=1"}, "base_url"),
        ({"base_url": "https://x:99999"}, "base_url"),
        ({"base_url": "https://[x"}, "base_url"),
        ({"base_url": "https://a b"}, "base_url"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "a b"}, "api_key"),
        ({"api_key": "a\r\nX: y"}, "api_key"),
        ({"slots": -1}, "slots"),
        ({"slots": 1001}, "slots"),
        ({"name": ""}, "name"),
        ({"name": "n" * 65}, "name"),
        ({"name": "a\nb"}, "name"),
    ],
)
def test_a_wrong_setting_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        checked_account(AccountSettings(**{"name": "primary", **fields}))
    assert refused.value.field == field


def test_a_url_is_kept_without_its_last_slash() -> None:
    wanted = AccountSettings("primary", base_url="https://host:1/path/")
    assert checked_account(wanted).base_url == "https://host:1/path"


def test_a_key_stands_in_no_repr() -> None:
    assert "s3cret" not in repr(AccountSettings("primary", api_key="s3cret"))


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "{}",
        '[{"name":"a"}]',
        '[{"name":"a","base_url":"https://x","api_key":"top secret","slots":1}]',
        '[{"name":"a","base_url":"https://x","api_key":"topsecret","slots":"1"}]',
        '[{"name":"a","base_url":"x","api_key":"topsecret","slots":1}]',
        '[{"name":"a","base_url":"https://x","api_key":"k","slots":1,"key":"topsecret"}]',
        '[{"name":"a","base_url":"https://x","api_key":"k","slots":1},'
        '{"name":"a","base_url":"https://x","api_key":"k","slots":1}]',
    ],
)
def test_wrong_accounts_stop_start_up_without_telling_a_key(text: str) -> None:
    with pytest.raises(SettingsError, match="ETAPA_QUEUE_ACCOUNTS") as refused:
        read_accounts_setting(text)
    assert "secret" not in str(refused.value)


def test_no_accounts_are_no_error() -> None:
    assert read_accounts_setting("  ") == []


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda t: setattr(t, "name", "Upscaler"), "tools.name"),
        (lambda t: setattr(t, "name", "a" * 41), "tools.name"),
        (lambda t: setattr(t, "view", 'x"; DROP'), "tools.view"),
        (lambda t: setattr(t, "label_pt", ""), "tools.label_pt"),
        (lambda t: setattr(t, "output_kind", "sound"), "tools.output_kind"),
        (lambda t: t.ClearField("variants"), "tools.variants"),
        (lambda t: t.variants.add(variant="", credits=1), "tools.variants"),
        (lambda t: setattr(t.variants[0], "credits", -1), "tools.variants.credits"),
        (lambda t: t.time_limits.run.FromSeconds(0), "tools.time_limits"),
        (lambda t: t.ClearField("time_limits"), "tools.time_limits"),
    ],
)
def test_a_wrong_announcement_is_named(spoil: Any, field: str) -> None:
    bad = announcement("upscaler")
    spoil(bad)
    with pytest.raises(BadRequestError) as refused:
        check_catalogue([announcement_from(each) for each in (announcement("good"), bad)])
    assert refused.value.field == field


def test_an_empty_catalogue_or_a_doubled_name_is_refused() -> None:
    for tools in ([], [announcement(), announcement()]):
        with pytest.raises(BadRequestError):
            check_catalogue([announcement_from(tool) for tool in tools])
