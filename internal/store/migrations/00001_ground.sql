-- The ground: codes, limits, searches, work, lives of numbers, tokens, the audit trail.
-- One text for SQLite and PostgreSQL. The mark /*clustered*/ becomes WITHOUT ROWID on SQLite, so that a table is one tree.
-- A CHECK lists values with OR: for IN, SQLite builds a table anew at every change of a row, a third of what the change costs.
-- Instants are microseconds since 1970. `subject` is the keyed hash of a number and leads every key that it can.

-- +goose Up
CREATE TABLE codes (
    subject    TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    channel    TEXT   NOT NULL,
    hash       TEXT   NOT NULL,
    number     BYTEA  NOT NULL, -- sealed
    status     TEXT   NOT NULL CHECK (status = 'open' OR status = 'replaced' OR status = 'spent' OR status = 'used' OR status = 'void'),
    tries      BIGINT NOT NULL DEFAULT 0,
    search     TEXT   NOT NULL DEFAULT '', -- the search that it opened
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (subject, id)
) /*clustered*/;
CREATE UNIQUE INDEX codes_id ON codes (id);
CREATE INDEX codes_expiry ON codes (expires_at);

CREATE TABLE number_limits (
    subject         TEXT   NOT NULL PRIMARY KEY,
    sent            TEXT   NOT NULL DEFAULT '', -- when codes were sent lately, unix milliseconds with spaces between
    failures        BIGINT NOT NULL DEFAULT 0,  -- wrong codes in a row
    locked_until    BIGINT NOT NULL DEFAULT 0,
    id_tries        BIGINT NOT NULL DEFAULT 0,  -- identity tries that did not match, or are under way
    id_locked_until BIGINT NOT NULL DEFAULT 0,
    changed_at      BIGINT NOT NULL
) /*clustered*/;
CREATE INDEX number_limits_changed ON number_limits (changed_at);

CREATE TABLE budgets (
    name       TEXT   NOT NULL PRIMARY KEY,
    arrival_at BIGINT NOT NULL -- GCRA: the theoretical arrival time of the next request
) /*clustered*/;

CREATE TABLE searches (
    subject      TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    tenure       TEXT   NOT NULL,
    tenure_start BIGINT NOT NULL,
    channel      TEXT   NOT NULL,
    language     TEXT   NOT NULL,
    status       TEXT   NOT NULL CHECK (status = 'collecting' OR status = 'replying' OR status = 'replied' OR status = 'void'),
    apps         TEXT   NOT NULL, -- ids with spaces between, in the order shown
    number       BYTEA  NOT NULL, -- sealed
    requested_at BIGINT NOT NULL,
    deadline     BIGINT NOT NULL,
    replied_at   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subject, id)
) /*clustered*/;
CREATE UNIQUE INDEX searches_id ON searches (id);
CREATE INDEX searches_deadline ON searches (deadline) WHERE status = 'collecting';
CREATE INDEX searches_requested ON searches (requested_at);

CREATE TABLE work (
    subject  TEXT   NOT NULL,
    ref      TEXT   NOT NULL,
    lane     TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    tenure   TEXT   NOT NULL DEFAULT '',
    state    TEXT   NOT NULL DEFAULT 'open' CHECK (state = 'open' OR state = 'done' OR state = 'failed' OR state = 'void'),
    due_at   BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    payload  BYTEA, -- sealed
    outcome  TEXT   NOT NULL DEFAULT '',
    done_at  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subject, ref, lane)
); -- not clustered: its rows change twice and are wide, which costs more inside the key's tree than a second look-up
CREATE INDEX work_due ON work (lane, due_at) WHERE state = 'open';

CREATE TABLE text_parts (
    centre_id TEXT   NOT NULL PRIMARY KEY, -- the SMS centre's id of the part
    subject   TEXT   NOT NULL,
    ref       TEXT   NOT NULL,
    part      BIGINT NOT NULL,
    attempt   BIGINT NOT NULL, -- of the text
    status    TEXT   NOT NULL DEFAULT '', -- the centre's last word, empty before a receipt
    sent_at   BIGINT NOT NULL,
    final_at  BIGINT NOT NULL DEFAULT 0
) /*clustered*/;
CREATE INDEX text_parts_sent ON text_parts (sent_at);

CREATE TABLE number_events (
    carrier   TEXT   NOT NULL,
    sequence  BIGINT NOT NULL,
    subject   TEXT   NOT NULL,
    type      TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    tenure    TEXT   NOT NULL DEFAULT '',
    receiving TEXT   NOT NULL DEFAULT '',
    aside     TEXT   NOT NULL DEFAULT '', -- why it could not be applied; empty: it was
    PRIMARY KEY (carrier, sequence)
) /*clustered*/;
CREATE INDEX number_events_subject ON number_events (subject);

CREATE TABLE lives (
    subject      TEXT    NOT NULL PRIMARY KEY,
    state        TEXT    NOT NULL CHECK (state = 'unknown' OR state = 'onShelf' OR state = 'inService' OR state = 'frozen'),
    suspended    BOOLEAN NOT NULL,
    carrier      TEXT    NOT NULL,
    tenure       TEXT    NOT NULL,
    tenure_start BIGINT  NOT NULL,
    since        BIGINT  NOT NULL,
    ended        TEXT    NOT NULL -- ids of ended tenures with spaces between
) /*clustered*/;

CREATE TABLE carrier_marks (
    carrier TEXT   NOT NULL PRIMARY KEY,
    as_of   BIGINT NOT NULL -- up to when the carrier has reported everything
) /*clustered*/;

CREATE TABLE tokens (
    hash       TEXT   NOT NULL PRIMARY KEY,
    client     TEXT   NOT NULL,
    scopes     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
) /*clustered*/;
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE audit (
    id      TEXT   NOT NULL PRIMARY KEY, -- ordered by time
    batch   BIGINT NOT NULL DEFAULT 0,   -- of the checkpoint that sealed it; 0: not sealed yet
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    ref     TEXT   NOT NULL,
    detail  TEXT   NOT NULL,
    salt    BYTEA  NOT NULL, -- hides what a pruned row's hash was made of
    hash    BYTEA,           -- of the row; stays when the row is pruned
    pruned  BOOLEAN NOT NULL DEFAULT FALSE
) /*clustered*/;
CREATE INDEX audit_unsealed ON audit (id) WHERE batch = 0;
CREATE INDEX audit_batch ON audit (batch, id);

CREATE TABLE audit_checkpoints (
    batch     BIGINT NOT NULL PRIMARY KEY,
    row_count BIGINT NOT NULL,
    previous  BYTEA  NOT NULL, -- hash of the checkpoint before
    hash      BYTEA  NOT NULL, -- of this one: previous, batch, time, rows and every row's hash in order
    signature BYTEA  NOT NULL,
    at        BIGINT NOT NULL,
    pruned    BOOLEAN NOT NULL DEFAULT FALSE -- its rows are: all of them, or none
) /*clustered*/;
CREATE INDEX audit_checkpoints_whole ON audit_checkpoints (batch) WHERE pruned = FALSE;

-- +goose Down
DROP TABLE audit_checkpoints;
DROP TABLE audit;
DROP TABLE tokens;
DROP TABLE carrier_marks;
DROP TABLE lives;
DROP TABLE number_events;
DROP TABLE text_parts;
DROP TABLE work;
DROP TABLE searches;
DROP TABLE budgets;
DROP TABLE number_limits;
DROP TABLE codes;
