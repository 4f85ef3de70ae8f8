# SPDX-License-Identifier: Apache-2.0
"""A slixmpp client on a string: it does what its standard input says and tells what happens on
its standard output, a line each, as package interop describes.

    slixmpp_agent.py JID PASSWORD HOST PORT [starttls|direct]
"""
import asyncio
import logging
import ssl
import sys

import slixmpp


def tell(*words):
    """Writes one line; line breaks inside of it become spaces."""
    print(" ".join(" ".join(str(w).splitlines()) for w in words), flush=True)


class Agent(slixmpp.ClientXMPP):
    """Everything the client is asked for is a method do_WORD."""

    def __init__(self, jid, password, host, port, transport):
        super().__init__(jid, password)
        self.address = host, port
        self.enable_direct_tls = transport == "direct"
        self.enable_starttls = transport == "starttls"
        self.roster.auto_authorize = None  # who asks is told, and answered by do_accept
        self.roster.auto_subscribe = False
        for plugin in ("xep_0030", "xep_0077", "xep_0092", "xep_0198", "xep_0199", "xep_0202", "xep_0203"):
            self.register_plugin(plugin)
        self.plugin["xep_0198"].window = 1
        self.plugin["xep_0077"].create_account = False
        self.plugin["xep_0077"].force_registration = False
        for event in ("session_start", "message", "message_error", "register", "sm_enabled", "session_resumed",
                      "presence_subscribe", "failed_auth", "ssl_invalid_chain", "connection_failed",
                      "disconnected", "stanza_acked"):
            self.add_event_handler(event, getattr(self, "on_" + event))
        for presence in ("available", "away", "unavailable"):
            self.add_event_handler("presence_" + presence, self.on_presence)
        self.add_event_handler("roster_update", self.on_roster)

    # what happens

    async def on_session_start(self, _):
        await self.get_roster()
        self.send_presence()
        tell("online", self.boundjid.full, self.socket.version())

    def on_message(self, msg):
        if msg["type"] not in ("chat", "normal") or not msg["body"]:
            return
        late = bool(msg.get_plugin("delay", check=True))
        if late:
            tell("late", msg["from"].bare, msg["delay"]["stamp"].isoformat(), msg["body"])
        else:
            tell("message", msg["from"].bare, msg["body"])

    def on_message_error(self, msg):
        tell("bounced", msg["from"].bare, msg["error"]["condition"])

    def on_presence(self, presence):
        if presence["from"].bare != self.boundjid.bare:
            tell("presence", presence["from"].bare, presence["type"], presence["status"])

    def on_presence_subscribe(self, presence):
        tell("asked", presence["from"].bare)

    def on_roster(self, push):
        for jid, item in push["roster"]["items"].items():
            tell("contact", jid, item["subscription"], item["name"])

    async def on_register(self, form):
        iq = self.Iq()
        iq["type"] = "set"
        iq["register"]["username"] = self.boundjid.user
        iq["register"]["password"] = self.password
        try:
            await iq.send()
            tell("registered")
        except slixmpp.exceptions.IqError as e:
            tell("refused", e.iq["error"]["condition"])

    def on_sm_enabled(self, enabled):
        tell("managed", enabled["resume"])

    def on_session_resumed(self, _):
        tell("resumed")

    def on_stanza_acked(self, stanza):
        if stanza.name == "message":
            tell("acked", stanza["body"])

    def on_failed_auth(self, _):
        tell("failed auth")

    def on_ssl_invalid_chain(self, error):
        tell("failed tls", error)
        self.abort()

    def on_connection_failed(self, error):
        if isinstance(error, ssl.SSLError):
            tell("failed tls", error)
            self.cancel_connection_attempt()
        else:
            tell("failed connection", error)

    def on_disconnected(self, reason):
        tell("disconnected", reason)

    # what is asked for

    def do_connect(self):
        self.connect(*self.address)

    def do_register(self):
        """Makes the account while it logs in (XEP-0077)."""
        self.plugin["xep_0077"].create_account = True
        self.do_connect()

    async def do_leave(self):
        # COMPAT(slixmpp, 2026): it ends a stream without a last <a/>. What it has read but was not
        # asked about yet would be kept for it, and come again (XEP-0198 §4).
        if self.plugin.enabled("xep_0198"):
            self.plugin["xep_0198"].send_ack()
        await self.disconnect()

    def do_password(self, password):
        self.password = password

    def do_unmanaged(self):
        """Goes without stream management."""
        self.plugin.disable("xep_0198")

    def do_cut(self):
        """Loses the connection without a farewell."""
        self.transport.abort()

    def do_say(self, to, body):
        self.send_message(mto=to, mbody=body, mtype="chat")

    def do_add(self, jid):
        self.send_presence_subscription(pto=jid, ptype="subscribe")

    def do_accept(self, jid):
        self.send_presence_subscription(pto=jid, ptype="subscribed")

    def do_away(self, status):
        self.send_presence(pshow="away", pstatus=status)

    async def do_roster(self):
        """Tells all contacts that it knows: with versions (RFC 6121 §2.6) the server does not repeat them."""
        await self.get_roster()
        for jid in self.client_roster:
            item = self.client_roster[jid]
            tell("contact", jid, item["subscription"], item["name"])
        tell("roster", self.client_roster.version)

    async def do_name(self, jid, name):
        await self.update_roster(slixmpp.JID(jid), name=name)
        tell("named", jid)

    async def do_remove(self, jid):
        await self.del_roster_item(slixmpp.JID(jid))
        tell("removed", jid)

    async def do_ping(self, jid):
        tell("pong", jid, await self.plugin["xep_0199"].send_ping(jid) is not None)

    async def do_version(self, jid):
        answer = (await self.plugin["xep_0092"].get_version(jid))["software_version"]
        tell("version", jid, answer["name"], answer["version"])

    async def do_time(self, jid):
        answer = (await self.plugin["xep_0202"].get_entity_time(jid))["entity_time"]
        # COMPAT(slixmpp, 2026): its own parser wants the time without the Z that XEP-0202 demands.
        tell("time", jid, answer.xml.find("{urn:xmpp:time}utc").text)

    async def do_disco(self, jid):
        info = (await self.plugin["xep_0030"].get_info(jid))["disco_info"]
        for category, kind, _, name in info["identities"]:
            tell("identity", jid, category + "/" + kind, name)
        for feature in sorted(info["features"]):
            tell("feature", jid, feature)
        tell("disco", jid)


async def main(make):
    agent = make(*sys.argv[1:5], *(sys.argv[5:] or ["starttls"]))
    tell("slixmpp", slixmpp.__version__)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().rstrip("\n"):
        word, _, rest = line.partition(" ")
        do = getattr(agent, "do_" + word)
        takes = do.__code__.co_argcount - 1
        try:
            result = do(*rest.split(" ", takes - 1) if takes else ())
            if asyncio.iscoroutine(result):
                await result
        except (slixmpp.exceptions.IqError, slixmpp.exceptions.IqTimeout) as e:
            tell("error", word, e.iq["error"]["condition"] if e.iq is not None else "timeout")


def run(make):
    """Runs the client that make makes of the arguments."""
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(make))


if __name__ == "__main__":
    run(Agent)
