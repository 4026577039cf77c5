"""Every kind of error has one answer, and nothing unknown shows its own text."""

from __future__ import annotations

import socket

import asyncpg
import grpc
import pytest

from etapa_client.errors import EtapaError as RemoteError
from services.runtime import errors
from services.runtime.error_table import (
    DATABASE_TEXT,
    HTTP_STATUSES,
    INTERNAL_TEXT,
    KINDS,
    answer_to,
)

TABLE = [
    (errors.InvalidInputError, "INVALID_ARGUMENT", 400),
    (errors.NotFoundError, "NOT_FOUND", 404),
    (errors.DuplicateError, "ALREADY_EXISTS", 409),
    (errors.ForbiddenTransitionError, "FAILED_PRECONDITION", 409),
    (errors.LostRaceError, "ABORTED", 409),
    (errors.QuotaError, "RESOURCE_EXHAUSTED", 429),
    (errors.ExpiredError, "OUT_OF_RANGE", 410),
    (errors.UnavailableError, "UNAVAILABLE", 503),
]


@pytest.mark.parametrize(("kind", "code", "http_status"), TABLE)
def test_each_kind_and_what_derives_from_it_has_its_status(
    kind: type[errors.EtapaError], code: str, http_status: int
) -> None:
    named = type("SomethingError", (kind,), {"reason": "SOMETHING"})
    answer = answer_to(named("It broke. Do this.", facts={"job_id": "j1"}))
    assert (answer.code.name, answer.http_status) == (code, http_status)
    assert (answer.reason, answer.message) == ("SOMETHING", "It broke. Do this.")
    assert answer.facts == {"job_id": "j1"}
    assert answer.expected


def test_the_table_names_every_kind_that_exists() -> None:
    assert {kind for kind, _, _ in TABLE} == set(KINDS) == set(errors.EtapaError.__subclasses__())


def test_every_status_of_the_table_has_an_http_status() -> None:
    assert set(KINDS.values()) <= set(HTTP_STATUSES)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "connect to 10.0.0.5"),
        socket.gaierror(-2, "db.internal"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.AdminShutdownError("terminating"),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.InterfaceError("connection is closed"),
    ],
)
def test_a_lost_database_is_unavailable_without_its_own_words(error: Exception) -> None:
    answer = answer_to(error)
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    assert answer.message == DATABASE_TEXT
    assert answer.retry_after_s > 0


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password=hunter2"),
        FileNotFoundError(2, "/srv/secret"),
        OSError(28, "No space left on device"),
        asyncpg.InterfaceError("the server expects 1 argument, 2 were passed"),
        asyncpg.UndefinedColumnError("column secret"),
        errors.EtapaError("a kind that nobody mapped"),
    ],
)
def test_anything_else_is_internal_with_a_fixed_text(error: Exception) -> None:
    answer = answer_to(error)
    assert (answer.code, answer.message) == (grpc.StatusCode.INTERNAL, INTERNAL_TEXT)
    assert not answer.expected


def test_the_answer_of_another_service_passes_through() -> None:
    remote = RemoteError(
        "u1 has an active job",
        reason="TOO_MANY_ACTIVE_JOBS",
        facts={"active_job_ids": "j1"},
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
    answer = answer_to(remote)
    assert (answer.code, answer.reason) == (remote.code, "TOO_MANY_ACTIVE_JOBS")
    assert answer.facts == {"active_job_ids": "j1"}


def test_an_internal_error_of_another_service_stays_internal() -> None:
    answer = answer_to(RemoteError("KeyError: 'x'", code=grpc.StatusCode.UNKNOWN))
    assert answer.message == INTERNAL_TEXT


def test_secrets_in_a_message_are_masked() -> None:
    answer = answer_to(errors.UnavailableError("GET https://u:hunter2@host/ failed"))
    assert "hunter2" not in answer.message


def test_a_group_of_known_errors_is_answered_by_the_first() -> None:
    group = ExceptionGroup("tasks", [errors.QuotaError("Full."), errors.NotFoundError("No.")])
    assert answer_to(group).code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_unknown_error_in_a_group_weighs_the_most() -> None:
    group = ExceptionGroup("tasks", [errors.QuotaError("Full."), KeyError("x")])
    assert answer_to(group).message == INTERNAL_TEXT


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.CharacterNotInRepertoireError("invalid byte sequence: 0x00"),
        asyncpg.UntranslatableCharacterError("\\u0000 cannot be converted to text"),
    ],
)
def test_a_text_that_no_table_holds_is_its_senders_mistake(error: asyncpg.PostgresError) -> None:
    answer = answer_to(error)
    assert (answer.code.name, answer.reason) == ("INVALID_ARGUMENT", "TEXT_NOT_STORABLE")
    assert "NUL" in answer.message
