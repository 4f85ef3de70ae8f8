# SPDX-License-Identifier: Apache-2.0
"""A slixmpp client on a string, as slixmpp_agent.py, that reads and sets things and can be one itself
(XEP-0323, XEP-0325), and gives commands (XEP-0050).

    slixmpp_things.py JID PASSWORD HOST PORT [starttls|direct]
"""
from slixmpp.plugins.xep_0323.device import Device as Sensor
from slixmpp.plugins.xep_0325.device import Device as Actuator

from slixmpp_agent import Agent, run, tell


class Lamp(Actuator):
    """A lamp that tells when it is switched."""

    def _set_field_value(self, name, value):
        super()._set_field_value(name, value)
        tell("control", name, value)


class Things(Agent):
    def __init__(self, *args):
        super().__init__(*args)
        self.register_plugin("xep_0323", {"threaded": False})
        for plugin in ("xep_0004", "xep_0050", "xep_0325"):
            self.register_plugin(plugin)

    def on_presence(self, presence):
        super().on_presence(presence)
        if presence["type"] == "available" and presence["from"].bare != self.boundjid.bare:
            tell("at", presence["from"].bare, presence["from"].full)

    def do_thing(self):
        """Is a thing with a temperature to read and a lamp to switch."""
        sensor = Sensor("thing")
        sensor._add_field(name="temperature", typename="numeric", unit="°C")
        sensor._add_field_momentary_data("temperature", "22.5")
        self.plugin["xep_0323"].register_node(nodeId="thing", device=sensor, commTimeout=5)
        lamp = Lamp("thing")
        lamp._add_control_field(name="lamp", typename="boolean", value="false")
        self.plugin["xep_0325"].register_node(nodeId="thing", device=lamp, commTimeout=5)
        tell("ready")

    def do_read(self, thing, names):
        """Reads fields of a thing, or all with a dash, and tells each."""

        def heard(from_jid, result, nodeId=None, timestamp=None, fields=None, error_msg=None):
            for f in fields or ():
                tell("field", thing, f["name"], f["typename"], f["value"], f.get("unit", ""))
            if result in ("rejected", "failure"):
                tell("read", thing, result, error_msg)
            elif result != "fields":
                tell("read", thing, result)

        self.plugin["xep_0323"].request_data(from_jid=self.boundjid.full, to_jid=thing, callback=heard,
                                             fields=None if names == "-" else names.split(","), flags={"momentary": "true"})

    def do_set(self, thing, kind, name, value):
        """Sets a parameter of a thing, and tells what came of it."""

        def heard(from_jid, result, nodeIds=None, fields=None, error_msg=None):
            tell("set", thing, result, error_msg or "")

        self.plugin["xep_0325"].set_request(from_jid=self.boundjid.full, to_jid=thing, callback=heard, fields=[(name, kind, value)])

    def do_tell(self, thing, kind, name, value):
        """Sets a parameter by a message, which nobody answers."""
        self.plugin["xep_0325"].set_command(from_jid=self.boundjid.full, to_jid=thing, fields=[(name, kind, value)])

    async def do_commands(self, thing):
        """Tells what a thing can be told to do."""
        items = await self.plugin["xep_0050"].get_commands(thing)
        for _, node, name in items["disco_items"]["items"]:
            tell("command", thing, node, name)
        tell("commands", thing)

    async def do_command(self, thing, node, values):
        """Gives a command: NAME=VALUE,… fill in its form."""
        commands = self.plugin["xep_0050"]
        answer = await commands.send_command(thing, node)
        if answer["command"]["status"] == "executing":
            form = self.plugin["xep_0004"].make_form(ftype="submit")
            for pair in values.split(","):
                name, _, value = pair.partition("=")
                form.add_field(var=name, value=value)
            answer = await commands.send_command(thing, node, action="complete", payload=form,
                                                 sessionid=answer["command"]["sessionid"])
        for kind, note in answer["command"]["notes"]:
            tell("note", thing, kind, note)
        form = answer["command"]["form"]
        if form is not None:
            for var, value in (form.get_values() or {}).items():
                tell("value", thing, var, value)
        tell("done", thing, node, answer["command"]["status"])


if __name__ == "__main__":
    run(Things)
