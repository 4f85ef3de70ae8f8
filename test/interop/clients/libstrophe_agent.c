/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of libstrophe on a string: it does what its standard input says and tells what happens on
 * its standard output, a line each, as package interop describes.
 *
 *     libstrophe_agent JID PASSWORD HOST PORT CA_FILE starttls|direct
 *
 * Reading order: tell and the handlers of what happens, then obey, which does what a line asks for,
 * then main, which waits for the network and for lines in turns.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <strophe.h>

static struct {
	const char *jid, *password, *host, *ca, *transport;
	unsigned short port;
	xmpp_ctx_t *ctx;
	xmpp_conn_t *conn;
	int online;
	unsigned pings, arrived;
} me;

/* text writes a text on the present line; line breaks inside of it become spaces. */
static void text(const char *s)
{
	for (; s && *s; s++)
		putchar(*s == '\n' || *s == '\r' ? ' ' : *s);
}

static void tell(const char *word, const char *a, const char *b)
{
	text(word);
	if (a) {
		putchar(' ');
		text(a);
	}
	if (b) {
		putchar(' ');
		text(b);
	}
	putchar('\n');
	fflush(stdout);
}

static int is_own(const char *bare)
{
	return strcmp(bare, me.jid) == 0;
}

/* on_any counts, for the last <a/>. */
static int on_any(xmpp_conn_t *conn, xmpp_stanza_t *s, void *unused)
{
	const char *name = xmpp_stanza_get_name(s);
	(void)conn, (void)unused;
	me.arrived += strcmp(name, "message") == 0 || strcmp(name, "presence") == 0 || strcmp(name, "iq") == 0;
	return 1;
}

static int on_message(xmpp_conn_t *conn, xmpp_stanza_t *s, void *unused)
{
	const char *type = xmpp_stanza_get_type(s), *from = xmpp_stanza_get_from(s);
	char *body = xmpp_message_get_body(s), *bare = from ? xmpp_jid_bare(me.ctx, from) : NULL;
	(void)conn, (void)unused;

	if (body && bare && (!type || strcmp(type, "chat") == 0 || strcmp(type, "normal") == 0)) {
		xmpp_stanza_t *delay = xmpp_stanza_get_child_by_name_and_ns(s, "delay", "urn:xmpp:delay");
		if (delay) {
			printf("late %s ", bare);
			tell(xmpp_stanza_get_attribute(delay, "stamp"), body, NULL);
		} else {
			tell("message", bare, body);
		}
	}
	if (body)
		xmpp_free(me.ctx, body);
	if (bare)
		xmpp_free(me.ctx, bare);
	return 1;
}

static int on_presence(xmpp_conn_t *conn, xmpp_stanza_t *s, void *unused)
{
	const char *type = xmpp_stanza_get_type(s), *from = xmpp_stanza_get_from(s);
	char *bare = from ? xmpp_jid_bare(me.ctx, from) : NULL;
	(void)conn, (void)unused;

	if (!bare || is_own(bare)) {
	} else if (type && strcmp(type, "subscribe") == 0) {
		tell("asked", bare, NULL);
	} else if (type && strcmp(type, "unavailable") == 0) {
		tell("presence", bare, "unavailable");
	} else if (!type) {
		xmpp_stanza_t *show = xmpp_stanza_get_child_by_name(s, "show");
		char *how = show ? xmpp_stanza_get_text(show) : NULL;
		tell("presence", bare, how ? how : "available");
		if (how)
			xmpp_free(me.ctx, how);
	}
	if (bare)
		xmpp_free(me.ctx, bare);
	return 1;
}

static int on_pong(xmpp_conn_t *conn, xmpp_stanza_t *s, void *unused)
{
	(void)conn, (void)unused;
	tell("pong", xmpp_stanza_get_from(s), xmpp_stanza_get_type(s));
	return 0;
}

static void send_presence(const char *type, const char *to, const char *show, const char *status)
{
	xmpp_stanza_t *s = xmpp_presence_new(me.ctx);
	const char *names[] = {"show", "status"}, *texts[] = {show, status};
	if (type)
		xmpp_stanza_set_type(s, type);
	if (to)
		xmpp_stanza_set_to(s, to);
	for (int i = 0; i < 2; i++) {
		xmpp_stanza_t *child, *inner;
		if (!texts[i])
			continue;
		child = xmpp_stanza_new(me.ctx);
		inner = xmpp_stanza_new(me.ctx);
		xmpp_stanza_set_name(child, names[i]);
		xmpp_stanza_set_text(inner, texts[i]);
		xmpp_stanza_add_child(child, inner);
		xmpp_stanza_add_child(s, child);
		xmpp_stanza_release(inner);
		xmpp_stanza_release(child);
	}
	xmpp_send(me.conn, s);
	xmpp_stanza_release(s);
}

/* ask sends a request with one empty child. */
static void ask(const char *to, const char *id, const char *name, const char *ns)
{
	xmpp_stanza_t *iq = xmpp_iq_new(me.ctx, "get", id), *child = xmpp_stanza_new(me.ctx);
	if (to)
		xmpp_stanza_set_to(iq, to);
	xmpp_stanza_set_name(child, name);
	xmpp_stanza_set_ns(child, ns);
	xmpp_stanza_add_child(iq, child);
	xmpp_send(me.conn, iq);
	xmpp_stanza_release(child);
	xmpp_stanza_release(iq);
}

static void on_connection(xmpp_conn_t *conn, xmpp_conn_event_t event, int error, xmpp_stream_error_t *why, void *unused)
{
	(void)unused;
	if (event == XMPP_CONN_CONNECT) {
		if (!xmpp_conn_is_secured(conn)) {
			tell("failed tls", "there is none", NULL);
			xmpp_disconnect(conn);
			return;
		}
		me.online = 1;
		me.arrived = 0;
		xmpp_handler_add(conn, on_any, NULL, NULL, NULL, NULL);
		xmpp_handler_add(conn, on_message, NULL, "message", NULL, NULL);
		xmpp_handler_add(conn, on_presence, NULL, "presence", NULL, NULL);
		ask(NULL, "roster", "query", "jabber:iq:roster");
		send_presence(NULL, NULL, NULL, NULL);
		tell("online", xmpp_conn_get_bound_jid(conn), NULL);
		return;
	}
	if (!me.online && !error && !why)
		tell("failed auth", NULL, NULL);
	me.online = 0;
	tell("disconnected", why && why->text ? why->text : "", NULL);
}

static int on_bad_certificate(const xmpp_tlscert_t *cert, const char *const why)
{
	(void)cert;
	tell("failed tls", why, NULL);
	return 0; /* do not trust it */
}

static void connect_to_server(void)
{
	if (me.conn)
		xmpp_conn_release(me.conn);
	me.conn = xmpp_conn_new(me.ctx);
	xmpp_conn_set_jid(me.conn, me.jid);
	xmpp_conn_set_pass(me.conn, me.password);
	xmpp_conn_set_cafile(me.conn, me.ca);
	xmpp_conn_set_certfail_handler(me.conn, on_bad_certificate);
	xmpp_conn_set_flags(me.conn, strcmp(me.transport, "direct") == 0 ? XMPP_CONN_FLAG_LEGACY_SSL : XMPP_CONN_FLAG_MANDATORY_TLS);
	if (xmpp_connect_client(me.conn, me.host, me.port, on_connection, NULL) != XMPP_EOK)
		tell("failed connection", NULL, NULL);
}

static void obey(char *line)
{
	char *word = strsep(&line, " ");
	if (strcmp(word, "connect") == 0) {
		connect_to_server();
	} else if (strcmp(word, "leave") == 0) {
		send_presence("unavailable", NULL, NULL, NULL);
		/* COMPAT(libstrophe 0.12, 2022): it ends a stream without a last <a/>. What it has read
		 * but was not asked about yet would be kept for it, and come again (XEP-0198 §4). */
		xmpp_send_raw_string(me.conn, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", me.arrived);
		xmpp_disconnect(me.conn);
	} else if (strcmp(word, "away") == 0) {
		send_presence(NULL, NULL, "away", line);
	} else if (strcmp(word, "add") == 0) {
		send_presence("subscribe", line, NULL, NULL);
	} else if (strcmp(word, "accept") == 0) {
		send_presence("subscribed", line, NULL, NULL);
	} else if (strcmp(word, "say") == 0) {
		char *to = strsep(&line, " ");
		xmpp_stanza_t *m = xmpp_message_new(me.ctx, "chat", to, NULL);
		xmpp_message_set_body(m, line);
		xmpp_send(me.conn, m);
		xmpp_stanza_release(m);
	} else if (strcmp(word, "ping") == 0) {
		char id[32];
		snprintf(id, sizeof id, "ping-%u", me.pings++);
		xmpp_id_handler_add(me.conn, on_pong, id, NULL);
		ask(line, id, "ping", "urn:xmpp:ping");
	} else {
		tell("error", word, NULL);
	}
}

int main(int argc, char **argv)
{
	static char lines[1 << 16];
	size_t n = 0;

	if (argc != 7)
		return 2;
	me.jid = argv[1], me.password = argv[2], me.host = argv[3], me.port = (unsigned short)atoi(argv[4]);
	me.ca = argv[5], me.transport = argv[6];
	xmpp_initialize();
	me.ctx = xmpp_ctx_new(NULL, xmpp_get_default_logger(XMPP_LEVEL_WARN));
	for (;;) {
		struct pollfd in = {0, POLLIN, 0};
		char *end;
		xmpp_run_once(me.ctx, 10);
		if (poll(&in, 1, me.conn ? 0 : 100) <= 0)
			continue;
		ssize_t got = read(0, lines + n, sizeof lines - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
		lines[n] = 0;
		while ((end = strchr(lines, '\n'))) {
			*end = 0;
			size_t used = (size_t)(end - lines) + 1;
			obey(lines);
			memmove(lines, lines + used, n - used + 1);
			n -= used;
		}
	}
	if (me.conn)
		xmpp_conn_release(me.conn);
	xmpp_ctx_free(me.ctx);
	xmpp_shutdown();
	return 0;
}
