"""Schema: the tables of a SQLite store, by version. docs/reference/store.md says what each column means.

A new version is one more script; a store of an older version gets those that it lacks, in one transaction.
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x41637453  # "ActS": `file shop.db` shows it

_COLUMNS: Final = """
  mailbox INTEGER NOT NULL REFERENCES mailbox(id),
  seq INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  message_type TEXT NOT NULL,
  payload BLOB NOT NULL,
  sender TEXT,
  deadline REAL,
  sent_at REAL NOT NULL,
  routing_key BLOB,
  attachments BLOB,
  key TEXT,
  deliveries INTEGER NOT NULL DEFAULT 0
"""

_KINDS: Final = "CASE kind WHEN 0 THEN 'tell' WHEN 1 THEN 'ask' WHEN 2 THEN 'stream' ELSE 'feed' END AS kind"

_FIRST: Final = f"""
CREATE TABLE mailbox (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  last_seq INTEGER NOT NULL DEFAULT 0,
  waiting INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE message ({_COLUMNS}, PRIMARY KEY (mailbox, seq)) WITHOUT ROWID;
CREATE TABLE delayed ({_COLUMNS}, due REAL NOT NULL, PRIMARY KEY (mailbox, seq)) WITHOUT ROWID;
CREATE INDEX delayed_due ON delayed (mailbox, due, seq);
CREATE TABLE outcome (
  mailbox INTEGER NOT NULL REFERENCES mailbox(id),
  key TEXT NOT NULL,
  seq INTEGER NOT NULL,
  kind INTEGER,
  payload BLOB,
  settled_at REAL,
  PRIMARY KEY (mailbox, key)
) WITHOUT ROWID;
CREATE INDEX outcome_waiting ON outcome (mailbox, seq) WHERE settled_at IS NULL;
CREATE INDEX outcome_settled ON outcome (settled_at) WHERE settled_at IS NOT NULL;
CREATE TABLE state (
  mailbox INTEGER NOT NULL REFERENCES mailbox(id),
  member TEXT NOT NULL,
  type_name TEXT NOT NULL,
  data BLOB NOT NULL,
  saved_at REAL NOT NULL,
  PRIMARY KEY (mailbox, member)
);
CREATE TABLE dead_letter (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox INTEGER NOT NULL REFERENCES mailbox(id),
  message_type TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  deliveries INTEGER NOT NULL,
  sender TEXT,
  sent_at REAL NOT NULL,
  died_at REAL NOT NULL,
  kind INTEGER NOT NULL,
  payload BLOB NOT NULL,
  routing_key BLOB,
  attachments BLOB
);
CREATE INDEX dead_letter_mailbox ON dead_letter (mailbox, id);
CREATE TABLE schedule (
  name TEXT PRIMARY KEY,
  child TEXT NOT NULL,
  schedule TEXT NOT NULL,
  message_type TEXT NOT NULL,
  payload BLOB NOT NULL,
  after REAL NOT NULL
);

CREATE VIEW messages AS SELECT name AS mailbox, seq, {_KINDS}, message_type, deliveries, key, sender,
  datetime(sent_at, 'unixepoch') AS sent, datetime(deadline, 'unixepoch') AS deadline, length(payload) AS bytes
  FROM message JOIN mailbox ON mailbox.id = message.mailbox;
CREATE VIEW delayed_messages AS SELECT name AS mailbox, datetime(due, 'unixepoch') AS due, message_type, sender,
  datetime(sent_at, 'unixepoch') AS sent, length(payload) AS bytes
  FROM delayed JOIN mailbox ON mailbox.id = delayed.mailbox;
CREATE VIEW outcomes AS SELECT name AS mailbox, key, seq, kind, datetime(settled_at, 'unixepoch') AS settled,
  length(payload) AS bytes
  FROM outcome JOIN mailbox ON mailbox.id = outcome.mailbox;
CREATE VIEW states AS SELECT name AS mailbox, member, type_name, datetime(saved_at, 'unixepoch') AS saved,
  length(data) AS bytes
  FROM state JOIN mailbox ON mailbox.id = state.mailbox;
CREATE VIEW dead_letters AS SELECT dead_letter.id, name AS mailbox, message_type, reason, detail, deliveries, sender,
  datetime(sent_at, 'unixepoch') AS sent, datetime(died_at, 'unixepoch') AS died, length(payload) AS bytes
  FROM dead_letter JOIN mailbox ON mailbox.id = dead_letter.mailbox;
CREATE VIEW schedules AS SELECT name, child, schedule, message_type, datetime(after, 'unixepoch') AS ran FROM schedule;
"""  # noqa: S608 - only names of ours

_SECOND: Final = "CREATE TABLE journal (id INTEGER PRIMARY KEY, writes BLOB NOT NULL);"

SCRIPTS: Final = (_FIRST, _SECOND)  # the n-th leads to version n
