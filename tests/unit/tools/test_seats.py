from __future__ import annotations

import asyncio

import pytest

from services.tools.domain import UploadsFullError
from services.tools.seats import Key, Seat, Seats

ANA: Key = ("web", "ana", "r-1")
BIA: Key = ("web", "bia", "r-1")
LONG_S = 60.0


async def in_line(seats: Seats, key: Key | None = None) -> asyncio.Task[Seat]:
    task = asyncio.create_task(seats.take(key))
    await asyncio.sleep(0)
    return task


async def test_seats_are_given_in_order_of_arrival() -> None:
    seats = Seats(1, 2)
    held = await seats.take(None)
    second, third = await in_line(seats), await in_line(seats)
    held.give_back()
    (await second).give_back()
    await third


async def test_full_line_turns_a_caller_away_with_the_numbers() -> None:
    seats = Seats(1, 1)
    await seats.take(None)
    waiting = await in_line(seats)
    with pytest.raises(UploadsFullError, match="1 uploads are under way and 1 wait") as caught:
        await seats.take(None)
    assert caught.value.facts == {"seats": "1", "line": "1"}
    waiting.cancel()


async def test_caller_who_leaves_the_line_leaves_its_place_too() -> None:
    seats = Seats(1, 1)
    held = await seats.take(None)
    (await in_line(seats)).cancel()
    await asyncio.sleep(0)
    waiting = await in_line(seats)
    held.give_back()
    await waiting


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_seat_is_not_lost_when_turn_and_cancel_come_together(cancel_first: bool) -> None:
    seats = Seats(1, 2)
    held = await seats.take(ANA)
    leaving, staying = await in_line(seats, BIA), await in_line(seats)
    if cancel_first:
        leaving.cancel()
        held.give_back()
    else:
        held.give_back()
        leaving.cancel()
    (await staying).give_back()
    assert leaving.cancelled()
    await seats.take(BIA)
    assert not seats.is_shared(BIA)


async def test_seat_is_given_back_once_however_often_one_says_so() -> None:
    seats = Seats(1, 1)
    held = await seats.take(None)
    held.give_back()
    held.give_back()
    await seats.take(None)
    waiting = await in_line(seats)
    assert not waiting.done()
    waiting.cancel()


async def test_repeat_takes_the_seat_of_the_call_that_was_cut_before_all_others() -> None:
    seats, closing = Seats(1, 2), asyncio.Event()
    cut = await seats.take(ANA)
    other = await in_line(seats, BIA)
    offer = asyncio.create_task(cut.await_repeat(closing, LONG_S))
    await asyncio.sleep(0)
    repeat = await seats.take(ANA)
    assert await offer
    assert not other.done()
    repeat.give_back()
    await other


async def test_repeat_already_in_line_is_called_up_when_its_first_call_is_cut() -> None:
    seats = Seats(1, 2)
    cut = await seats.take(ANA)
    other, repeat = await in_line(seats, BIA), await in_line(seats, ANA)
    assert await cut.await_repeat(asyncio.Event(), LONG_S)
    (await repeat).give_back()
    await other


async def test_repeat_already_seated_is_enough_to_come_back() -> None:
    seats = Seats(2, 0)
    cut = await seats.take(ANA)
    await seats.take(ANA)
    assert await cut.await_repeat(asyncio.Event(), LONG_S)
    cut.give_back()
    await seats.take(BIA)


async def test_seat_that_no_repeat_takes_goes_to_the_next_in_line() -> None:
    seats = Seats(1, 1)
    cut = await seats.take(ANA)
    other = await in_line(seats, BIA)
    assert not await cut.await_repeat(asyncio.Event(), 0.0)
    await other


async def test_end_of_the_process_ends_the_wait_for_a_repeat() -> None:
    seats, closing = Seats(1, 1), asyncio.Event()
    cut = await seats.take(ANA)
    closing.set()
    assert await cut.await_repeat(closing, LONG_S)
    await seats.take(BIA)


async def test_call_without_a_request_id_has_no_repeat() -> None:
    seats = Seats(1, 1)
    cut = await seats.take(None)
    assert not await cut.await_repeat(asyncio.Event(), LONG_S)
    cut.give_back()
    await seats.take(None)
