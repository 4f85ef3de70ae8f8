# SPDX-License-Identifier: Apache-2.0
"""A slixmpp client on a string, as slixmpp_agent.py, that publishes its nick, tune and avatar, asks for
those of others (XEP-0163), and tells what it hears.

    slixmpp_pep.py JID PASSWORD HOST PORT [starttls|direct]
"""
from slixmpp_agent import Agent, run, tell


class Eventful(Agent):
    def __init__(self, *args):
        super().__init__(*args)
        for plugin in ("xep_0060", "xep_0115", "xep_0163", "xep_0084", "xep_0118", "xep_0172"):
            self.register_plugin(plugin)
        for event in ("user_nick_publish", "user_tune_publish", "avatar_metadata_publish"):
            self.add_event_handler(event, getattr(self, "on_" + event))

    # what happens

    async def on_session_start(self, _):
        await self.get_roster()
        await self.plugin["xep_0115"].update_caps()  # sends presence with the hash
        tell("online", self.boundjid.full, self.socket.version())

    def payload(self, msg):
        return msg["pubsub_event"]["items"]["item"]

    def on_user_nick_publish(self, msg):
        tell("nick", msg["from"].full, self.payload(msg)["nick"]["nick"])

    def on_user_tune_publish(self, msg):
        tune = self.payload(msg)["tune"]
        tell("tune", msg["from"].full, tune["artist"] or "nobody", tune["title"] or "nothing")

    def on_avatar_metadata_publish(self, msg):
        info = self.payload(msg)["avatar_metadata"]["items"][0]
        tell("avatar", msg["from"].full, info["id"], info["bytes"])

    # what is asked for

    async def do_nick(self, nick):
        await self.plugin["xep_0172"].publish_nick(nick)
        tell("published nick")

    async def do_tune(self, artist, title):
        await self.plugin["xep_0118"].publish_tune(artist=artist, title=title)
        tell("published tune")

    async def do_silence(self):
        await self.plugin["xep_0118"].stop()
        tell("published tune")

    async def do_avatar(self, text):
        picture = text.encode()
        name = self.plugin["xep_0084"].generate_id(picture)
        await self.plugin["xep_0084"].publish_avatar(picture)
        await self.plugin["xep_0084"].publish_avatar_metadata(items={"id": name, "type": "image/png", "bytes": len(picture)})
        tell("published avatar", name)

    async def do_picture(self, jid, name):
        answer = await self.plugin["xep_0084"].retrieve_avatar(jid, name)
        tell("picture", jid, answer["pubsub"]["items"]["item"]["avatar_data"]["value"].decode())

    async def do_last(self, jid, node):
        answer = await self.plugin["xep_0060"].get_items(jid, node)
        tell("last", jid, node, len(answer["pubsub"]["items"]["substanzas"]))

    async def do_nodes(self, jid):
        items = (await self.plugin["xep_0030"].get_items(jid))["disco_items"]["items"]
        for _, node, _ in sorted(items, key=lambda item: item[1] or ""):
            tell("node", jid, node)
        tell("nodes", jid)


run(Eventful)
