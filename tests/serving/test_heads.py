from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn

from app.serving.heads import BoundedHeads

ANSWER = b"HTTP/1.1 204"
WHOLE = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
PATIENCE_SECONDS = 20.0


class Hasty(BoundedHeads):
    """Does not wait long."""

    seconds = 0.2


class Patient(BoundedHeads):
    """Waits for longer than a test takes."""

    seconds = 600.0


async def _answer(
    _scope: object, _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def _connected(
    protocol: type[BoundedHeads],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    config = uvicorn.Config(
        _answer, host="127.0.0.1", port=0, http=protocol, lifespan="off", log_config=None, ws="none"
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await running


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server ends the connection."""
    return await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)


@pytest.mark.parametrize("said", [b"", b"GET ", b"GET / HTTP/1.1\r\nhost: x\r\n"])
def test_a_connection_that_does_not_come_to_the_end_of_its_first_head_is_ended(said: bytes) -> None:
    async def main() -> bytes:
        async with _connected(Hasty) as (reader, writer):
            writer.write(said)
            return await _rest(reader)

    assert asyncio.run(main()) == b""


def test_a_later_head_that_does_not_come_to_its_end_ends_the_connection_too() -> None:
    async def main() -> tuple[bytes, bytes]:
        async with _connected(Hasty) as (reader, writer):
            writer.write(WHOLE)
            first = await reader.readuntil(b"\r\n\r\n")
            writer.write(WHOLE[:10])
            return first, await _rest(reader)

    first, rest = asyncio.run(main())
    assert first.startswith(ANSWER)
    assert rest == b""


def test_a_head_that_never_ends_is_not_kept() -> None:
    async def main() -> bytes:
        async with _connected(Patient) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
            for number in range(200):
                writer.write(b"x-%d: %s\r\n" % (number, b"y" * 1000))
            return await _rest(reader)

    with suppress(ConnectionResetError):  # what had not been read yet when it ended
        assert asyncio.run(main()) == b""


def test_a_connection_may_be_idle_between_two_requests() -> None:
    async def main() -> list[bytes]:
        answers = []
        async with _connected(Hasty) as (reader, writer):
            for _ in range(2):
                writer.write(WHOLE)
                answers.append(await reader.readuntil(b"\r\n\r\n"))
                await asyncio.sleep(3 * Hasty.seconds)
        return answers

    assert all(answer.startswith(ANSWER) for answer in asyncio.run(main()))


class Crowded(BoundedHeads):
    """Takes few connections of one address."""

    most_connections = 3


def test_one_address_does_not_take_all_connections_and_those_that_it_has_go_on() -> None:
    async def main() -> tuple[bytes, bytes]:
        async with _connected(Crowded) as (reader, writer):
            address = writer.get_extra_info("peername")
            others = [await asyncio.open_connection(*address) for _ in range(2)]
            refused, unused = await asyncio.open_connection(*address)
            end = await _rest(refused)
            writer.write(WHOLE)
            answer = await reader.readuntil(b"\r\n\r\n")
            for connection in (unused, *(other for _, other in others)):
                connection.close()
            return end, answer

    end, answer = asyncio.run(main())
    assert end == b""
    assert answer.startswith(ANSWER)
