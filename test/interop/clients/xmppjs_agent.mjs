// SPDX-License-Identifier: Apache-2.0
//
// A client of @xmpp/client on a string: it does what its standard input says and tells what happens
// on its standard output, a line each, as package interop describes.
//
//     node xmppjs_agent.mjs JID PASSWORD SERVICE IP
//
// SERVICE is wss://…, xmpp://… or xmpps://…; whatever host it names is at IP.
import dns from "node:dns";
import readline from "node:readline";

import WebSocket from "ws";

// The domain is in no DNS. Its name stays, for TLS to verify.
const [own, password, service, ip] = process.argv.slice(2);
dns.lookup = (_, options, done) => {
  const all = typeof options === "object" && options.all;
  done ??= options;
  process.nextTick(() => (all ? done(null, [{ address: ip, family: 4 }]) : done(null, ip, 4)));
};
globalThis.WebSocket = WebSocket; // COMPAT(Node, 20): it has none of its own
const { client, xml, jid } = await import("@xmpp/client");

const tell = (...words) => process.stdout.write(words.map((w) => String(w).replace(/[\r\n]+/g, " ")).join(" ") + "\n");
const bare = (address) => jid(address).bare().toString();

const { local, domain } = jid(own);
let xmpp;

// connect makes a new client: one that has stopped cannot begin again in every state.
function connect() {
  xmpp = client({ service, domain, username: local, password });
  xmpp.reconnect.stop();
  xmpp.on("error", (e) => {
    const tls = /CERT|SIGNATURE|ALTNAME|ISSUER/.test(e.code ?? "") || /certificate/.test(e.message ?? "");
    tell("failed", e.name === "SASLError" ? "auth" : tls ? "tls" : "connection", e.code ?? "", e.message ?? e);
  });
  xmpp.on("online", async (address) => {
    await request({ type: "get" }, xml("query", "jabber:iq:roster"));
    await xmpp.send(xml("presence"));
    tell("online", address);
  });
  xmpp.on("offline", () => tell("disconnected"));
  xmpp.on("stanza", received);
  xmpp.streamManagement.on("resumed", () => tell("resumed"));
  xmpp.start().catch(() => {}); // told as an error
}

// request sends an IQ and waits for its answer.
// COMPAT(xmpp.js, 2026): answers that its own iqCaller waits for are not counted as received, so that
// as many messages as there were answers would come again in the next session (XEP-0198 §4).
const answers = new Map();
async function request(attrs, payload) {
  const id = "request" + ++request.count;
  const answer = new Promise((done) => answers.set(id, done));
  await xmpp.send(xml("iq", { ...attrs, id }, payload));
  return answer;
}
request.count = 0;

function received(stanza) {
  const { from, type, id } = stanza.attrs;
  if (stanza.is("iq")) {
    if (type === "result" || type === "error") answers.get(id)?.(stanza);
    return;
  }
  if (!from) return;
  if (stanza.is("presence")) {
    if (bare(from) === own) return;
    if (type === "subscribe") return tell("asked", bare(from));
    if (!type || type === "unavailable") {
      return tell("presence", bare(from), type ?? stanza.getChildText("show") ?? "available", stanza.getChildText("status") ?? "");
    }
    return;
  }
  const body = stanza.getChildText("body");
  if (body === null || body === undefined || !["chat", "normal", undefined].includes(type)) return;
  const late = stanza.getChild("delay", "urn:xmpp:delay");
  if (late) tell("late", bare(from), late.attrs.stamp, body);
  else tell("message", bare(from), body);
}

const commands = {
  connect,
  leave: () => xmpp.stop(),
  cut: () => xmpp.disconnect(), // and comes back by itself
  say: (to, text) => xmpp.send(xml("message", { to, type: "chat" }, xml("body", {}, text))),
  add: (to) => xmpp.send(xml("presence", { to, type: "subscribe" })),
  accept: (to) => xmpp.send(xml("presence", { to, type: "subscribed" })),
  away: (status) => xmpp.send(xml("presence", {}, xml("show", {}, "away"), xml("status", {}, status))),
  ping: async (to) => {
    await request({ type: "get", to }, xml("ping", "urn:xmpp:ping"));
    tell("pong", to);
  },
};

tell("xmpp.js", process.version);
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [, word, rest] = /^(\w+) ?(.*)$/.exec(line);
  const at = word === "say" ? rest.indexOf(" ") : -1;
  try {
    await (at < 0 ? commands[word](rest) : commands[word](rest.slice(0, at), rest.slice(at + 1)));
  } catch (e) {
    tell("error", word, e.message);
  }
}
process.exit(0);
