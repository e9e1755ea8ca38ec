"""aiosfstream-ng (Bayeux over asyncio): events, replay after kill -9 of the server, nothing lost and
nothing twice. Its login URL is a module constant; the instance URL comes from the token answer."""

import asyncio
import warnings

import aiosfstream_ng.auth
from aiosfstream_ng import MappingStorage, ReplayOption, SalesforceStreamingClient

import mock

CHANNEL = "/data/AccountChangeEvent"
WAIT_S = 30
warnings.filterwarnings("ignore", category=DeprecationWarning)


def client(replay):
    aiosfstream_ng.auth.TOKEN_URL = org.base + "/services/oauth2/token"
    return SalesforceStreamingClient(consumer_key=mock.KEY, consumer_secret=mock.SECRET, username=mock.USERNAME,
                                     password=mock.PASSWORD + mock.TOKEN, replay=replay)


def play(story):
    async def quietly():
        # A client that is closed cancels its poll and leaves a traceback of that: not ours to judge.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        return await story()
    return asyncio.run(quietly())


def name_of(message):
    return message["data"]["payload"]["Name"]


async def take(stream, count):
    got = []
    for _ in range(count):
        got.append(name_of(await asyncio.wait_for(stream.receive(), WAIT_S)))
    return got


def a_created_record_comes_as_its_change_event():
    async def story():
        async with client(ReplayOption.NEW_EVENTS) as stream:
            await stream.subscribe(CHANNEL)
            org.commit(mock.create("first"))
            message = await asyncio.wait_for(stream.receive(), WAIT_S)
            header = message["data"]["payload"]["ChangeEventHeader"]
            assert header["changeType"] == "CREATE" and header["entityName"] == "Account", header
            assert name_of(message) == "first"
    play(story)


def all_retained_events_come_on_request():
    async def story():
        async with client(ReplayOption.ALL_EVENTS) as stream:
            await stream.subscribe(CHANNEL)
            assert await take(stream, 1) == ["first"]
    play(story)


def after_a_crash_of_the_server_nothing_is_lost_and_nothing_comes_twice():
    markers = {}

    async def story():
        async with client(MappingStorage(markers)) as stream:
            await stream.subscribe(CHANNEL)
            org.commit(*[mock.create("before %d" % i) for i in range(20)])
            got = await take(stream, 20)
            org.kill()
            await asyncio.sleep(0.3)
        org.start()
        org.commit(*[mock.create("between %d" % i) for i in range(20)])
        async with client(MappingStorage(markers)) as stream:
            await stream.subscribe(CHANNEL)
            org.commit(*[mock.create("after %d" % i) for i in range(20)])
            return got + await take(stream, 40)

    wanted = [w + " %d" % i for w in ("before", "between", "after") for i in range(20)]
    assert play(story) == wanted


def an_expired_replay_id_falls_back_as_the_client_was_told():
    async def story():
        org.control("POST", "faults", {"expire_events": {}})
        stream = SalesforceStreamingClient(
            consumer_key=mock.KEY, consumer_secret=mock.SECRET, username=mock.USERNAME,
            password=mock.PASSWORD + mock.TOKEN, replay=MappingStorage(old), replay_fallback=ReplayOption.ALL_EVENTS)
        async with stream:
            await stream.subscribe(CHANNEL)
            org.commit(mock.create("anew"))
            return await take(stream, 1)

    from aiosfstream_ng.replay import ReplayMarker
    old = {CHANNEL: ReplayMarker(date="2026-01-01T00:00:00Z", replay_id=1)}
    assert play(story) == ["anew"]


org = mock.Mock()
with org:
    mock.run(a_created_record_comes_as_its_change_event, all_retained_events_come_on_request,
             after_a_crash_of_the_server_nothing_is_lost_and_nothing_comes_twice,
             an_expired_replay_id_falls_back_as_the_client_was_told)
