// SPDX-License-Identifier: Apache-2.0
//
// Converse, a client that is a web page, in a Chromium without a screen, on a string: a line of
// standard input is what somebody does in front of it, a line of standard output what it shows.
//
//     node converse_agent.mjs JID PASSWORD HOST:PORT
//
// The page is of another origin than the server, and is not told where that is: it asks the domain
// (XEP-0156). The browser takes HOST:PORT for the domain, whatever port it wants there, and believes
// the authorities in the NSS database of its home.
import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import readline from "node:readline";

import { chromium } from "playwright-core";

const [own, password, address] = process.argv.slice(2);
const domain = own.split("@")[1];
const tell = (...words) => process.stdout.write(words.map((w) => String(w).replace(/[\r\n]+/g, " ")).join(" ") + "\n");

// The page, and the files of Converse as npm has them.
const page = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Converse</title>
<link rel="stylesheet" href="/dist/converse.min.css"></head>
<body class="converse-fullscreen"><div id="conversejs-bg"></div><script type="module">
import converse from "/dist/converse.min.js";
converse.plugins.add("string", { initialize() { window.string = this._converse; } });
window.begin = (jid, password) => converse.initialize({
  jid, password, auto_login: true, view_mode: "fullscreen", whitelisted_plugins: ["string"], assets_path: "/dist/",
  persistent_store: "sessionStorage", i18n: "en", play_sounds: false, show_desktop_notifications: false,
});
</script></body></html>`;
const types = { ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml", ".wasm": "application/wasm" };
const dist = path.resolve("node_modules/converse.js/dist");
const site = http.createServer(async (request, response) => {
  const file = path.join(dist, path.normalize(new URL(request.url, "http://localhost").pathname.replace(/^\/dist/, "")));
  try {
    if (request.url === "/") return response.writeHead(200, { "Content-Type": "text/html" }).end(page);
    const body = await readFile(file);
    response.writeHead(200, { "Content-Type": types[path.extname(file)] ?? "application/octet-stream" }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((done) => site.listen(0, "127.0.0.1", done));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP ${domain} ${address}`],
});
const view = await browser.newPage({ viewport: { width: 960, height: 540 } });
view.setDefaultTimeout(30_000);
view.on("console", (m) => process.stderr.write(m.type() + ": " + m.text() + "\n"));
view.on("websocket", (w) => tell("websocket", w.url()));
view.on("requestfailed", (r) => tell("failed", r.failure().errorText, r.url()));
view.on("response", (r) => r.url().includes("host-meta") && tell("host-meta", r.status(), r.url()));

const commands = {
  async connect() {
    await view.goto(`http://127.0.0.1:${site.address().port}/`);
    await view.waitForFunction(() => window.begin);
    await view.evaluate(([jid, password]) => void window.begin(jid, password), [own, password]);
    await view.waitForFunction(() => window.string?.api.connection.connected());
    tell("online", await view.evaluate(() => window.string.session.get("jid")));
  },
  // sees waits until the list of contacts shows it so.
  async sees(contact, presence) {
    await view.waitForFunction(
      ([contact, presence]) => window.string.roster?.get(contact)?.presence.getStatus() === presence,
      [contact, presence],
    );
    tell("seen", contact, presence);
  },
  // add makes somebody a contact, as its dialog does.
  async add(contact) {
    await view.evaluate(async (jid) => {
      await window.string.api.waitUntil("rosterContactsFetched");
      await window.string.api.contacts.add({ jid, groups: [] });
    }, contact);
    tell("added", contact);
  },
  async open(contact) {
    await view.evaluate((contact) => void window.string.api.chats.open(contact, {}, true), contact);
    await view.locator("converse-chat textarea, converse-chat .chat-textarea").first().waitFor();
    tell("open", contact);
  },
  // enter joins a room.
  async enter(room) {
    await view.evaluate((room) => void window.string.api.rooms.open(room, { nick: "Juliet" }, true), room);
    await view.locator("converse-muc textarea, converse-muc .chat-textarea").first().waitFor();
    tell("entered", room);
  },
  // say writes into the open chat, as a person does.
  async say(text) {
    const input = view.locator("converse-chat textarea, converse-chat .chat-textarea, converse-muc textarea").locator("visible=true").first();
    await input.fill(text);
    await input.press("Enter");
  },
  // shows waits until the page has that message.
  async shows(text) {
    await view.locator("converse-chat-message-body", { hasText: text }).first().waitFor();
    tell("shown", text);
  },
  async picture(file) {
    await view.screenshot({ path: file });
    tell("picture", file);
  },
  async leave() {
    await view.evaluate(() => window.string.api.user.logout());
    tell("disconnected");
  },
};

tell("chromium", browser.version());
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [, word, rest] = /^(\w+) ?(.*)$/.exec(line);
  try {
    await commands[word](...(word === "sees" ? rest.split(" ") : [rest]));
  } catch (e) {
    tell("error", word, e.message);
    await view.screenshot({ path: process.env.HOME + "/error.png" }).catch(() => {});
  }
}
await browser.close();
process.exit(0);
