# SPDX-License-Identifier: Apache-2.0
"""A network for slidge that needs neither an account nor a network: everybody has one friend there, who says
everything again. "as me TEXT" is as if the user had written TEXT with the network's own application.
"""
from slidge import BaseGateway, BaseSession
from slidge.contact import LegacyContact, LegacyRoster


class Gateway(BaseGateway):
    COMPONENT_NAME = "Echo"
    COMPONENT_TYPE = "echo"
    REGISTRATION_FIELDS = ()

    async def validate(self, user_jid, registration_form):
        return None


class Session(BaseSession):
    async def login(self):
        return "there"

    async def logout(self):
        pass


class Friend(LegacyContact):
    async def update_info(self):
        self.name = "Echo"
        self.is_friend = True
        self.online()

    async def on_message(self, message):
        if message.body.startswith("as me "):
            self.send_text(message.body.removeprefix("as me "), carbon=True)
        else:
            self.send_text(message.body)

    async def on_sticker(self, sticker):
        pass


class Roster(LegacyRoster):
    async def fill(self):
        friend = await self.by_legacy_id("echo")
        # COMPAT(slidge, 2026): 0.4.2 takes itself for being tested, and leaves this to nobody.
        await friend.add_to_roster()
        yield friend
