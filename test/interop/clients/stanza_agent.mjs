// SPDX-License-Identifier: Apache-2.0
//
// A client of the library stanza on a string, over WebSocket: what slixmpp_social.py does, in the same
// words.
//
//     node stanza_agent.mjs JID PASSWORD SERVICE IP
//
// Whatever host SERVICE names is at IP.
import dns from "node:dns";
import { createRequire } from "node:module";
import readline from "node:readline";

// The domain is in no DNS. Its name stays, for TLS to verify.
const [own, password, service, ip] = process.argv.slice(2);
dns.lookup = (_, options, done) => {
  const all = typeof options === "object" && options.all;
  done ??= options;
  process.nextTick(() => (all ? done(null, [{ address: ip, family: 4 }]) : done(null, ip, 4)));
};
const { createClient, JXT } = createRequire(import.meta.url)("stanza");

const tell = (...words) => process.stdout.write(words.map((w) => String(w).replace(/[\r\n]+/g, " ")).join(" ") + "\n");
const bare = (address) => address.split("/")[0];
const note = "urn:example:note";

const client = createClient({ jid: own, password, autoReconnect: false, transports: { websocket: service, bosh: false } });
// COMPAT(stanza, 2026): it takes a mechanism with channel binding where there is one, and cannot do it.
for (const hash of ["1", "256"]) client.sasl.disable(`SCRAM-SHA-${hash}-PLUS`);
client.stanzas.define({ aliases: JXT.pubsubItemContentAliases(), element: "note", fields: { text: JXT.text() }, namespace: note, type: note });

client.on("session:started", async () => {
  await client.getRoster();
  client.updateCaps();
  client.sendPresence({ legacyCapabilities: client.disco.getCaps() });
  tell("online", client.jid);
});
client.on("auth:failed", () => tell("failed auth"));
client.on("disconnected", () => tell("disconnected"));
client.on("subscribe", (p) => tell("asked", bare(p.from)));
for (const type of ["available", "unavailable"]) {
  client.on(type, (p) => bare(p.from) !== own && !p.muc && tell("presence", bare(p.from), p.show ?? type, p.status ?? ""));
}
client.on("message", (m) => {
  if (m.carbon || !m.body || !m.from || !["chat", "normal", undefined].includes(m.type)) return;
  if (m.delay) tell("late", bare(m.from), m.delay.timestamp.toISOString(), m.body);
  else tell("message", bare(m.from), m.body);
});
client.on("groupchat", (m) => m.body && tell(m.delay ? "roomlate" : "room", m.from, m.body));
client.on("carbon:received", (m) => {
  const copy = m.carbon.forward.message;
  tell("copy", "from", bare(copy.from), copy.body);
});
client.on("carbon:sent", (m) => {
  const copy = m.carbon.forward.message;
  tell("copy", "to", bare(copy.to), copy.body);
});
client.on("pubsub:published", (m) => {
  for (const item of m.pubsub.items.published) {
    const { itemType, text, nick } = item.content ?? {};
    if (itemType === note) tell("item", m.from, m.pubsub.items.node, item.id, text);
    else if (nick) tell("nick", m.from, nick);
  }
});
client.on("pubsub:retracted", (m) => {
  for (const id of m.pubsub.items.retracted) tell("retracted", m.from, m.pubsub.items.node, id.id ?? id);
});

const commands = {
  connect: () => client.connect(),
  leave: () => client.disconnect(),
  say: (to, body) => client.sendMessage({ to, body, type: "chat" }),
  add: (jid) => client.subscribe(jid),
  accept: (jid) => client.acceptSubscription(jid),
  away: (status) => client.sendPresence({ show: "away", status }),
  ping: async (to) => {
    await client.ping(to);
    tell("pong", to);
  },
  join: async (room, nick) => {
    await client.joinRoom(room, nick);
    tell("joined", room, nick);
  },
  unlock: async (room) => {
    await client.configureRoom(room, { type: "submit" });
    tell("unlocked", room);
  },
  roomsay: (to, body) => client.sendMessage({ to, body, type: "groupchat" }),
  copies: async () => {
    await client.enableCarbons();
    tell("copying");
  },
  archive: async (jid) => {
    let count = 0;
    for (let after = ""; ; ) {
      const page = await client.searchHistory(jid, { paging: { max: 2, after } });
      for (const { item } of page.results ?? []) {
        const m = item.message;
        if (m.body) tell("kept", jid, m.from, m.body), count++;
      }
      if (page.complete || !page.paging?.last) break;
      after = page.paging.last;
    }
    tell("archive", jid, count);
  },
  create: async (jid, node) => {
    await client.createNode(jid, node);
    tell("created", jid, node);
  },
  subscribe: async (jid, node) => {
    await client.subscribeToNode(jid, node);
    tell("subscribed", jid, node);
  },
  publish: async (jid, node, id, text) => {
    await client.publish(jid, node, { itemType: note, text }, id);
    tell("published", jid, node, id);
  },
  retract: async (jid, node, id) => {
    await client.retract(jid, node, id, true);
    tell("gone", jid, node, id);
  },
  items: async (jid, node) => {
    const { items } = await client.getItems(jid, node);
    for (const item of items ?? []) tell("has", jid, node, item.id, item.content.text);
    tell("items", jid, node);
  },
  nick: async (nick) => {
    await client.publishNick(nick);
    tell("published nick");
  },
};

tell("stanza", process.version);
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [word, ...rest] = line.split(" ");
  const takes = Math.max(commands[word].length, 1);
  const words = rest.slice(0, takes - 1).concat(rest.length >= takes ? [rest.slice(takes - 1).join(" ")] : []);
  try {
    await commands[word](...words);
  } catch (e) {
    tell("error", word, e.error?.condition ?? e.message ?? JSON.stringify(e));
  }
}
process.exit(0);
