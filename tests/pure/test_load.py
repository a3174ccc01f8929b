"""The load generator's count: what is a failure, and what is not."""

import asyncio

import pytest

from turnout.cli.load import Broken, Connection, Head, Load, Tally, parse_head


def ask(*sent: bytes) -> Head:
    """Ask a server that answers a request with these bytes and closes."""

    async def story() -> Head:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.writelines(sent)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            connection = await Connection.open("127.0.0.1", server.sockets[0].getsockname()[1])
            try:
                return await connection.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            finally:
                connection.close()

    return asyncio.run(story())


def test_a_head_names_the_version_that_answered() -> None:
    head = parse_head(b"HTTP/1.1 200 OK\r\nX-Version: v7\r\nContent-Length: 2\r\n\r\n")
    assert (head.status, head.version, head.stays_open) == (200, "v7", True)


def test_a_head_without_a_version_is_the_balancers() -> None:
    assert parse_head(b"HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\n\r\n").version is None


def test_what_is_not_http_is_a_failure() -> None:
    with pytest.raises(Broken, match="not an HTTP answer"):
        parse_head(b"SSH-2.0-OpenSSH\r\n")


def test_a_complete_answer_of_known_length_counts() -> None:
    assert ask(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Version: v1\r\n\r\nok").version == "v1"


def test_a_complete_chunked_answer_counts() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Version: v1\r\n\r\n"
    assert ask(head, b"2;x=y\r\nok\r\n", b"0\r\n\r\n").version == "v1"


def test_an_answer_that_is_cut_short_is_a_failure() -> None:
    with pytest.raises(Broken, match="the answer was cut short"):
        ask(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nX-Version: v1\r\n\r\nok")


def test_a_connection_that_closes_before_the_answer_is_a_failure() -> None:
    with pytest.raises(Broken, match="closed before the answer"):
        ask()


def test_a_tally_since_an_earlier_one_holds_only_what_came_between() -> None:
    earlier = Tally(answers={"v1": 10}, failures={"cut": 1})
    later = Tally(answers={"v1": 10, "v2": 5}, failures={"cut": 3}, last_seen={"v1": 1.0, "v2": 2.0})
    between = later.since(earlier)
    assert (between.answers, between.failures) == ({"v2": 5}, {"cut": 2})
    assert (between.requests, between.failed, between.version) == (7, 2, "v2")


def test_an_answer_of_the_balancer_fails_and_an_error_of_the_application_is_counted_apart() -> None:
    load = Load("127.0.0.1", 1)
    load.count_answer(parse_head(b"HTTP/1.1 503 Service Unavailable\r\n"))
    load.count_answer(parse_head(b"HTTP/1.1 500 Internal Server Error\r\nX-Version: v2\r\n"))
    tally = load.tally()
    assert tally.failures == {"503 from the balancer": 1}
    assert (tally.answers, tally.errors) == ({"v2": 1}, {"v2 500": 1})
