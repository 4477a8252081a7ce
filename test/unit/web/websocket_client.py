#!/usr/bin/env python3
"""A conversation with test_websocket.c's handler by python3-websockets. usage: websocket_client.py URL"""
import asyncio, ssl, sys
import websockets


async def main(url):
    tls = ssl.create_default_context() if url.startswith("wss") else None
    async with websockets.connect(url, ssl=tls, subprotocols=["v9.ingot", "v2.ingot"], ping_interval=None) as ws:
        assert ws.subprotocol == "v2.ingot", ws.subprotocol
        assert not ws.extensions, ws.extensions
        for message in ("hello", "", "ä" * 30000, b"\0\1\2", bytes(range(256)) * 250):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(["in ", "three ", "fragments"])
        assert await ws.recv() == "in three fragments"
        await asyncio.wait_for(await ws.ping(b"?"), 30)
        await ws.send("go away")
        try:
            await ws.recv()
            raise SystemExit("not closed")
        except websockets.ConnectionClosed as e:
            assert e.rcvd.code == 1001, e


asyncio.run(main(sys.argv[1]))
