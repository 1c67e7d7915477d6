-- What is folded from the events is made by store/projections.sql from now on, and made again when the fold changes.
DROP TABLE orders;
DROP TABLE region_totals;
DROP TABLE region_money;
DROP TABLE click_to_door;
DROP TABLE anomalies;
CREATE TABLE folded (
    id               INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    fold             INTEGER NOT NULL           -- by which fold the projections were made
) STRICT;

-- What the hub itself decides or is given. None of it can be rebuilt from the events.

-- A provider's own statement, line by line, as it was imported.
CREATE TABLE statement_lines (
    provider         TEXT    NOT NULL,
    line_id          TEXT    NOT NULL,          -- the provider's id of the line: importing it again changes nothing
    transaction_id   TEXT    NOT NULL,          -- of the payment that it is about
    kind             TEXT    NOT NULL CHECK (kind IN ('charge', 'refund')),
    amount_minor     INTEGER NOT NULL,          -- positive
    currency         TEXT    NOT NULL,
    at_ms            INTEGER NOT NULL,
    statement_id     INTEGER NOT NULL REFERENCES statements (id),
    PRIMARY KEY (provider, line_id)
) STRICT, WITHOUT ROWID;
-- The lines of each transaction, added up.
CREATE TABLE stated (
    region           TEXT    NOT NULL REFERENCES regions (region),
    transaction_id   TEXT    NOT NULL,
    currency         TEXT    NOT NULL,          -- empty where the lines name several
    charged_minor    INTEGER NOT NULL,
    refunded_minor   INTEGER NOT NULL,
    at_ms            INTEGER NOT NULL,          -- of the earliest line
    PRIMARY KEY (region, transaction_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE statements (
    id               INTEGER NOT NULL PRIMARY KEY,
    provider         TEXT    NOT NULL,
    region           TEXT    NOT NULL REFERENCES regions (region),
    from_ms          INTEGER NOT NULL,          -- what it covers, the end not included
    to_ms            INTEGER NOT NULL,
    lines            INTEGER NOT NULL,
    imported_at_ms   INTEGER NOT NULL,
    imported_by      TEXT    NOT NULL
) STRICT;
CREATE INDEX statements_of_region ON statements (region, to_ms, from_ms);

-- Payouts to restaurants and drivers: each settles one party's account from one posting to another.
CREATE TABLE payouts (
    payout_id        TEXT    NOT NULL PRIMARY KEY,  -- made from what it settles: the same run gives the same id
    run_id           TEXT    NOT NULL,
    region           TEXT    NOT NULL REFERENCES regions (region),
    account          TEXT    NOT NULL,
    party            TEXT    NOT NULL,
    currency         TEXT    NOT NULL,
    from_seq         INTEGER NOT NULL,          -- entries after this
    to_seq           INTEGER NOT NULL,          -- up to this
    amount_minor     INTEGER NOT NULL,          -- to be paid; positive
    created_at_ms    INTEGER NOT NULL,
    created_by       TEXT    NOT NULL,
    UNIQUE (region, account, party, currency, from_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX payouts_of_run ON payouts (run_id);

CREATE TABLE alerts (
    id               INTEGER NOT NULL PRIMARY KEY,
    rule             TEXT    NOT NULL,
    region           TEXT    NOT NULL,          -- empty: the whole fleet
    detail           TEXT    NOT NULL,
    opened_at_ms     INTEGER NOT NULL,
    seen_at_ms       INTEGER NOT NULL,          -- when the condition last held
    closed_at_ms     INTEGER,
    told_at_ms       INTEGER,                   -- when the webhook took it
    acked_at_ms      INTEGER,
    acked_by         TEXT
) STRICT;
-- One open alert per rule and region.
CREATE INDEX alerts_untold ON alerts (id) WHERE told_at_ms IS NULL;
CREATE UNIQUE INDEX alerts_open ON alerts (rule, region) WHERE closed_at_ms IS NULL;

-- Who owns which cells, every version a whole document.
CREATE TABLE maps (
    version          INTEGER NOT NULL PRIMARY KEY,
    made_at_ms       INTEGER NOT NULL,
    doc              TEXT    NOT NULL
) STRICT;

-- What each region is told of fees, promotions, switches and a pause, every version a whole document. Never changed.
CREATE TABLE editions (
    region           TEXT    NOT NULL REFERENCES regions (region),
    version          INTEGER NOT NULL,          -- made from the clock: never given again, also not by a restored hub
    made_at_ms       INTEGER NOT NULL,
    made_by          TEXT    NOT NULL,
    note             TEXT    NOT NULL,          -- why
    doc              TEXT    NOT NULL,          -- shared::control::Control, JSON
    PRIMARY KEY (region, version)
) STRICT;

-- Cells that change hands.
CREATE TABLE moves (
    id               INTEGER NOT NULL PRIMARY KEY,  -- never used again, also not by a new hub: made from the clock
    from_region      TEXT    NOT NULL REFERENCES regions (region),
    to_region        TEXT    NOT NULL REFERENCES regions (region),
    cells            TEXT    NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('waiting', 'leaving', 'arriving', 'done', 'cancelled')),
    cancel           INTEGER NOT NULL,          -- whether somebody wants it called off
    asked_at_ms      INTEGER NOT NULL,
    since_ms         INTEGER NOT NULL
) STRICT;
CREATE INDEX moves_open ON moves (id) WHERE state NOT IN ('done', 'cancelled');
