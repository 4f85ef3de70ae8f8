# SPDX-License-Identifier: Apache-2.0
"""A slixmpp client on a string, as slixmpp_agent.py, that goes to rooms (XEP-0045), reads archives
(XEP-0313), has nodes (XEP-0060) and takes copies of what its account's other devices say (XEP-0280).

    slixmpp_social.py JID PASSWORD HOST PORT [starttls|direct]
"""
from slixmpp import JID
from slixmpp.xmlstream import ET

from slixmpp_agent import Agent, run, tell

NOTE = "{urn:example:note}note"


class Social(Agent):
    def __init__(self, *args):
        super().__init__(*args)
        for plugin in ("xep_0004", "xep_0045", "xep_0059", "xep_0060", "xep_0280", "xep_0313"):
            self.register_plugin(plugin)
        for event in ("groupchat_message", "groupchat_subject", "carbon_received", "carbon_sent", "pubsub_publish", "pubsub_retract"):
            self.add_event_handler(event, getattr(self, "on_" + event))

    # what happens

    def on_groupchat_message(self, msg):
        late = bool(msg.get_plugin("delay", check=True))
        tell("roomlate" if late else "room", msg["from"].full, msg["body"])

    def on_groupchat_subject(self, msg):
        tell("topic", msg["from"].full, msg["subject"])

    def on_carbon_received(self, msg):
        copy = msg["carbon_received"]
        tell("copy", "from", copy["from"].bare, copy["body"])

    def on_carbon_sent(self, msg):
        copy = msg["carbon_sent"]
        tell("copy", "to", copy["to"].bare, copy["body"])

    def on_pubsub_publish(self, msg):
        items = msg["pubsub_event"]["items"]
        for item in items["substanzas"]:
            payload = item["payload"]
            text = payload.text if payload is not None else ""
            tell("item", msg["from"].full, items["node"], item["id"], text)

    def on_pubsub_retract(self, msg):
        items = msg["pubsub_event"]["items"]
        for item in items["substanzas"]:
            tell("retracted", msg["from"].full, items["node"], item["id"])

    # what is asked for

    async def do_join(self, room, nick):
        await self.plugin["xep_0045"].join_muc_wait(JID(room), nick, maxstanzas=20, timeout=20)
        tell("joined", room, nick)

    async def do_unlock(self, room):
        """Takes a new room as it is (XEP-0045 §10.1.2)."""
        form = self.plugin["xep_0004"].make_form(ftype="submit")
        await self.plugin["xep_0045"].set_room_config(JID(room), form)
        tell("unlocked", room)

    def do_nick(self, room, nick):
        self.send_presence(pto=room + "/" + nick)

    def do_topic(self, room, text):
        self.send_message(mto=room, msubject=text, mtype="groupchat")

    def do_part(self, room, nick):
        self.plugin["xep_0045"].leave_muc(JID(room), nick)

    async def do_enrol(self, gateway):
        """Registers at a gateway that wants to know nothing (XEP-0077, XEP-0100)."""
        iq = self.make_iq_set(ito=gateway)
        iq.enable("register")
        form = self.plugin["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value="jabber:iq:register")
        iq["register"].append(form)
        await iq.send()
        tell("enrolled", gateway)

    def do_roomsay(self, room, text):
        self.send_message(mto=room, mbody=text, mtype="groupchat")

    async def do_copies(self):
        await self.plugin["xep_0280"].enable()
        tell("copying")

    async def do_archive(self, jid):
        """Tells all that an archive has, by pages of two."""
        count = 0
        async for message in self.plugin["xep_0313"].iterate(JID(jid), rsm={"max": 2}):
            forwarded = message["mam_result"]["forwarded"]["stanza"]
            if forwarded["body"]:
                tell("kept", jid, forwarded["from"].full, forwarded["body"])
                count += 1
        tell("archive", jid, count)

    async def do_create(self, service, node):
        await self.plugin["xep_0060"].create_node(JID(service), node)
        tell("created", service, node)

    async def do_subscribe(self, service, node):
        await self.plugin["xep_0060"].subscribe(JID(service), node)
        tell("subscribed", service, node)

    async def do_publish(self, service, node, id, text):
        payload = ET.Element(NOTE)
        payload.text = text
        await self.plugin["xep_0060"].publish(JID(service), node, id=id, payload=payload)
        tell("published", service, node, id)

    async def do_retract(self, service, node, id):
        await self.plugin["xep_0060"].retract(JID(service), node, id, notify=True)
        tell("gone", service, node, id)

    async def do_items(self, service, node):
        answer = await self.plugin["xep_0060"].get_items(JID(service), node)
        for item in answer["pubsub"]["items"]["substanzas"]:
            tell("has", service, node, item["id"], item["payload"].text)
        tell("items", service, node)


run(Social)
