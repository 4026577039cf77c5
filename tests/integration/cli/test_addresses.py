from __future__ import annotations

import socket
from contextlib import closing

from services.cli.addresses import PortBlock, is_free


def test_an_address_with_a_listener_is_not_free() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        assert not is_free(f"127.0.0.1:{server.getsockname()[1]}")


def test_a_block_passes_over_a_port_that_is_taken() -> None:
    block = PortBlock()
    port = int(block.take().split(":")[1])
    with closing(socket.create_server(("127.0.0.1", port + 1))):
        assert int(block.take().split(":")[1]) > port + 1
    block.close()


def test_blocks_of_ports_never_overlap() -> None:
    blocks = [PortBlock() for _ in range(20)]
    taken = [block.take() for block in blocks for _ in range(3)]
    assert len(set(taken)) == len(taken)
    assert all(20_000 <= int(address.split(":")[1]) < 32_000 for address in taken)
    for block in blocks:
        block.close()
