# SPDX-License-Identifier: Apache-2.0
"""A slixmpp component on a string: a gateway whose contacts are there for whoever asks, and say
back what they are told. It tells what happens on its standard output, as package interop describes.

    slixmpp_component.py DOMAIN SECRET HOST PORT
"""
import asyncio
import logging
import sys

import slixmpp
from slixmpp.componentxmpp import ComponentXMPP


def tell(*words):
    """Writes one line; line breaks inside of it become spaces."""
    print(" ".join(" ".join(str(w).splitlines()) for w in words), flush=True)


class Gateway(ComponentXMPP):
    """Everything the component is asked for is a method do_WORD."""

    def __init__(self, domain, secret, host, port):
        super().__init__(domain, secret, host, int(port))
        self.roster.auto_authorize = True  # whoever asks a contact is asked back
        self.roster.auto_subscribe = True
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.plugin["xep_0030"].add_identity("gateway", "sms", "Test", jid=domain)
        for event in ("session_start", "message", "presence_subscribe", "presence_subscribed", "presence_unsubscribe",
                      "presence_probe", "presence_available", "presence_unavailable", "stream_error",
                      "disconnected"):
            self.add_event_handler(event, getattr(self, "on_" + event))

    # what happens

    def on_session_start(self, _):
        tell("online", self.boundjid.full)

    def on_message(self, msg):
        if msg["body"]:
            tell("message", msg["from"].bare, msg["to"].bare, msg["body"])
            msg.reply(msg["body"]).send()

    def on_presence_subscribe(self, presence):
        contact, user = presence["to"].bare, presence["from"].bare
        tell("asked", user, contact)
        self.send_presence(pto=user, pfrom=contact + "/gateway", pstatus="over sms")

    def on_presence_subscribed(self, presence):
        tell("granted", presence["from"].bare, presence["to"].bare)

    def on_presence_unsubscribe(self, presence):
        tell("left", presence["from"].bare, presence["to"].bare)

    def on_presence_probe(self, presence):
        tell("probed", presence["from"].bare, presence["to"].bare)
        self.send_presence(pto=presence["from"].bare, pfrom=presence["to"].bare + "/gateway", pstatus="over sms")

    def on_presence_available(self, presence):
        tell("presence", presence["from"].bare, "available", presence["to"].bare)

    def on_presence_unavailable(self, presence):
        tell("presence", presence["from"].bare, "unavailable", presence["to"].bare)

    def on_stream_error(self, error):
        tell("refused", error["condition"])

    def on_disconnected(self, reason):
        tell("disconnected", reason)

    # what is asked for

    def do_connect(self):
        self.connect()

    async def do_leave(self):
        await self.disconnect()

    def do_say(self, sender, to, body):
        self.send_message(mfrom=sender, mto=to, mbody=body, mtype="chat")

    def do_raw(self, xml):
        self.send_raw(xml)

    async def do_ping(self, jid):
        tell("pong", jid, await self.plugin["xep_0199"].send_ping(jid, ifrom=self.boundjid) is not None)


async def main():
    gateway = Gateway(*sys.argv[1:5])
    tell("slixmpp", slixmpp.__version__)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().rstrip("\n"):
        word, _, rest = line.partition(" ")
        do = getattr(gateway, "do_" + word)
        takes = do.__code__.co_argcount - 1
        try:
            result = do(*rest.split(" ", takes - 1) if takes else ())
            if asyncio.iscoroutine(result):
                await result
        except (slixmpp.exceptions.IqError, slixmpp.exceptions.IqTimeout) as e:
            tell("error", word, e.iq["error"]["condition"] if e.iq is not None else "timeout")


logging.basicConfig(level=logging.WARNING)
asyncio.run(main())
