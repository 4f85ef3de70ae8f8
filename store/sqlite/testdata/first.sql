-- The tables of the first version of the store, with a row in each, as it wrote them. Never edited: every
-- later version must open such a file.
PRAGMA application_id = 1400136552;
CREATE TABLE topic (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO topic VALUES ('addresses', 1), ('accounts', 1), ('roster', 1), ('spool', 1), ('settings', 1);
CREATE TABLE address (id INTEGER PRIMARY KEY, jid TEXT NOT NULL UNIQUE);
INSERT INTO address VALUES (1, 'romeo@montague.example');
CREATE TABLE account (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	domain   TEXT NOT NULL,
	local    TEXT NOT NULL,
	created  INTEGER NOT NULL,
	disabled INTEGER NOT NULL,
	UNIQUE (domain, local)
);
INSERT INTO account VALUES (7, 'capulet.example', 'juliet', 1767225600000000, 0);
CREATE TABLE account_key (
	account    INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
	hash       TEXT NOT NULL,
	salt       BLOB,
	iterations INTEGER NOT NULL,
	stored_key BLOB,
	server_key BLOB,
	PRIMARY KEY (account, hash)
) WITHOUT ROWID;
INSERT INTO account_key VALUES (7, 'SHA-256', x'01', 4096, x'02', x'03');
CREATE TABLE roster (
	account INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
	version INTEGER NOT NULL
);
INSERT INTO roster VALUES (7, 3);
CREATE TABLE roster_item (
	account      INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
	contact      INTEGER NOT NULL REFERENCES address,
	name         TEXT NOT NULL,
	groups       TEXT NOT NULL,
	subscription INTEGER NOT NULL,
	flags        INTEGER NOT NULL,
	pending_in   BLOB,
	version      INTEGER NOT NULL,
	PRIMARY KEY (account, contact)
) WITHOUT ROWID;
CREATE INDEX roster_item_contact ON roster_item (contact);
INSERT INTO roster_item VALUES (7, 1, 'Romeo', 'Friends', 3, 0, NULL, 3);
CREATE TABLE spool (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
	at      INTEGER NOT NULL,
	bytes   INTEGER NOT NULL,
	stanza  BLOB NOT NULL
);
CREATE INDEX spool_account ON spool (account, id, bytes);
INSERT INTO spool VALUES (41, 7, 1767225600000000, 10, CAST('<message/>' AS BLOB));
CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO setting VALUES ('login secret', x'0102');
