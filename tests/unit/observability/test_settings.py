from __future__ import annotations

import pytest

from services.observability.settings import Settings
from services.runtime.errors import SettingsError


def test_only_the_database_must_be_told() -> None:
    settings = Settings.from_env({"ETAPA_DATABASE_URL": "postgresql://u:secret@h/d"})
    assert settings.listen == "127.0.0.1:50053"
    assert settings.partition_days == 7
    assert "secret" not in repr(settings)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env(
            {
                "ETAPA_OBSERVABILITY_LISTEN": "nowhere",
                "ETAPA_OBSERVABILITY_PARTITION_DAYS": "0",
                "ETAPA_OBSERVABILITY_POLL_S": "x",
            }
        )
    assert len(refused.value.problems) == 4
