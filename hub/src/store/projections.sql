-- Everything that is folded from `events`. These tables are dropped, made again and filled from the events whenever the
-- fold changes (store/state.rs, FOLD), so they need no migrations, and nobody may keep anything else in them.
-- Rows name only regions that `regions` knows (ingest/apply.rs); that is not checked again for each.
-- No row depends on how the regions' events were interleaved: what a rebuild gives is what live ingestion gave.

-- How far the fold of a region is, beyond its cursor.
CREATE TABLE region_state (
    region           TEXT    NOT NULL PRIMARY KEY,
    seen_at_ms       INTEGER NOT NULL,          -- latest time of any event
    currency         TEXT,                      -- of its books, by the first posting
    postings         INTEGER NOT NULL,
    head             BLOB    NOT NULL,          -- hash of the newest posting; empty before the first
    paused           TEXT                       -- reason while the region takes no orders
) STRICT;

-- Where each order stands, and what its events and its books say about its money.
CREATE TABLE orders (
    order_id         BLOB    NOT NULL CHECK (length(order_id) = 16),
    region           TEXT    NOT NULL,
    version          INTEGER NOT NULL,
    state            TEXT    NOT NULL,
    customer_id      BLOB    NOT NULL,
    phone_hash       BLOB    CHECK (length(phone_hash) = 16),  -- of the customer's telephone number, where it was given
    restaurant_id    BLOB    NOT NULL,
    driver_id        BLOB,
    method           TEXT    NOT NULL,
    total_minor      INTEGER NOT NULL,
    currency         TEXT    NOT NULL,
    cell             INTEGER NOT NULL,
    placed_at_ms     INTEGER NOT NULL,
    deliver_at_ms    INTEGER,
    confirmed_at_ms  INTEGER,
    asked_at_ms      INTEGER,                   -- when the newest restaurant was asked
    preparing_at_ms  INTEGER,
    ready_at_ms      INTEGER,
    assigned_at_ms   INTEGER,                   -- when the first driver took it
    picked_up_at_ms  INTEGER,
    updated_at_ms    INTEGER NOT NULL,
    final_at_ms      INTEGER,
    cancel_reason    TEXT,
    kept_minor       INTEGER NOT NULL,          -- of a cancelled order's money
    taken_minor      INTEGER NOT NULL,          -- captured at the provider for the order, without later tips
    tipped_minor     INTEGER NOT NULL,          -- captured at the provider as tips after delivery
    cash_minor       INTEGER NOT NULL,          -- taken at the door
    refunded_minor   INTEGER NOT NULL,          -- gone back after it had been taken
    postings         INTEGER NOT NULL,
    books_customer_minor INTEGER NOT NULL,      -- debits less credits of customer_payments
    books_clearing_minor INTEGER NOT NULL,      -- of provider_clearing
    books_cash_minor INTEGER NOT NULL,          -- of cash_in_hand and cash_office
    mismatch         TEXT,                      -- why events and books do not agree, if they do not
    seqs             BLOB    NOT NULL,          -- sequences of its events; projections/orders.rs, Seqs
    PRIMARY KEY (order_id, region)
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_newest ON orders (placed_at_ms, order_id);
CREATE INDEX orders_newest_of_region ON orders (region, placed_at_ms, order_id);
-- Those under way, and those that did not go well: a delivered order costs no place here.
CREATE INDEX orders_newest_in_state ON orders (state, placed_at_ms, order_id) WHERE state <> 'DELIVERED';
CREATE INDEX orders_of_restaurant ON orders (restaurant_id, placed_at_ms, order_id);
CREATE INDEX orders_of_customer ON orders (customer_id, placed_at_ms, order_id);
CREATE INDEX orders_of_phone ON orders (phone_hash, placed_at_ms, order_id) WHERE phone_hash IS NOT NULL;
CREATE INDEX orders_of_driver ON orders (driver_id, placed_at_ms, order_id) WHERE driver_id IS NOT NULL;
-- Reconciliation reads only these: the few orders whose money does not add up.
CREATE INDEX orders_unmatched ON orders (placed_at_ms) WHERE mismatch IS NOT NULL;
-- Orders of regions whose books have begun, but not for this order.
CREATE INDEX orders_unbooked ON orders (region, placed_at_ms) WHERE postings = 0 AND taken_minor + cash_minor > 0;

CREATE TABLE payments (
    order_id         BLOB    NOT NULL,
    region           TEXT    NOT NULL,
    payment_id       BLOB    NOT NULL CHECK (length(payment_id) = 16),
    tip              INTEGER NOT NULL CHECK (tip IN (0, 1)),
    transaction_id   TEXT    NOT NULL,          -- the provider's; empty for cash, and until it is told
    state            TEXT    NOT NULL,
    authorised_minor INTEGER NOT NULL,
    captured_minor   INTEGER NOT NULL,
    refunded_minor   INTEGER NOT NULL,
    currency         TEXT    NOT NULL,
    created_at_ms    INTEGER NOT NULL,
    updated_at_ms    INTEGER NOT NULL,
    PRIMARY KEY (order_id, region, payment_id)
) STRICT, WITHOUT ROWID;
-- With the region: by that alone SQLite would rather go through all that the region has (payments_changed).
CREATE INDEX payments_of_transaction ON payments (transaction_id, region) WHERE transaction_id <> '';
-- A statement that comes is compared with what changed in its time.
CREATE INDEX payments_changed ON payments (region, updated_at_ms) WHERE transaction_id <> '';

-- Transactions on which a provider's statement and the payments do not agree: follows from `stated`, `statements` and
-- `payments`, and is kept with each change of any (store/misstated.rs).
CREATE TABLE misstated (
    region           TEXT    NOT NULL,
    transaction_id   TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    order_id         BLOB,                      -- NULL: no payment has the transaction
    at_ms            INTEGER NOT NULL,
    currency         TEXT    NOT NULL,
    provider_minor   INTEGER,                   -- NULL: not on the statement
    orders_minor     INTEGER,
    PRIMARY KEY (region, transaction_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX misstated_oldest ON misstated (at_ms);

CREATE TABLE refunds (
    order_id         BLOB    NOT NULL,
    region           TEXT    NOT NULL,
    refund_id        BLOB    NOT NULL CHECK (length(refund_id) = 16),
    amount_minor     INTEGER NOT NULL,
    reason           TEXT    NOT NULL,
    borne_by         TEXT    NOT NULL,
    state            TEXT    NOT NULL,          -- requested, done, or failed with the provider's code
    code             TEXT    NOT NULL,
    requested_at_ms  INTEGER NOT NULL,
    updated_at_ms    INTEGER NOT NULL,
    PRIMARY KEY (order_id, region, refund_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX refunds_open ON refunds (requested_at_ms) WHERE state <> 'done';

-- The regions' books, copied. Append-only; each posting's hash covers the one before it in its region. Those of an order
-- are found by the sequences in its row.
CREATE TABLE postings (
    region           TEXT    NOT NULL,
    seq              INTEGER NOT NULL,          -- of the event
    at_ms            INTEGER NOT NULL,
    order_id         BLOB,
    cause            TEXT    NOT NULL,
    currency         TEXT    NOT NULL,
    hash             BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (region, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
    number           INTEGER NOT NULL PRIMARY KEY,
    name             TEXT    NOT NULL UNIQUE    -- filled by store/ledger.rs, ACCOUNTS
) STRICT;
CREATE TABLE entries (
    region           TEXT    NOT NULL,
    seq              INTEGER NOT NULL,
    n                INTEGER NOT NULL,          -- place in its posting, from 0
    account          INTEGER NOT NULL,          -- of `accounts`
    party            BLOB,                      -- id of the restaurant or driver; NULL for the region's own accounts
    amount_minor     INTEGER NOT NULL CHECK (amount_minor <> 0),  -- debit positive
    PRIMARY KEY (region, seq, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_of_party ON entries (party, region, account, seq) WHERE party IS NOT NULL;
CREATE TRIGGER postings_stay BEFORE UPDATE ON postings BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER postings_are_kept BEFORE DELETE ON postings BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_are_kept BEFORE DELETE ON entries BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TABLE balances (
    region           TEXT    NOT NULL,
    currency         TEXT    NOT NULL,
    account          TEXT    NOT NULL,
    party            TEXT    NOT NULL,
    debit_minor      INTEGER NOT NULL,
    credit_minor     INTEGER NOT NULL,          -- not negative either
    last_seq         INTEGER NOT NULL,
    PRIMARY KEY (region, currency, account, party)
) STRICT, WITHOUT ROWID;

CREATE TABLE drivers (
    driver_id        BLOB    NOT NULL CHECK (length(driver_id) = 16),
    region           TEXT    NOT NULL,
    online_since_ms  INTEGER,                   -- NULL while signed off
    orders           INTEGER NOT NULL,          -- bound to the driver now
    counted_to_ms    INTEGER NOT NULL,          -- time at work is in the rollups up to here
    PRIMARY KEY (driver_id, region)
) STRICT, WITHOUT ROWID;
CREATE INDEX drivers_online ON drivers (region) WHERE online_since_ms IS NOT NULL;

CREATE TABLE restaurants (
    restaurant_id    BLOB    NOT NULL CHECK (length(restaurant_id) = 16),
    region           TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    cell             INTEGER NOT NULL,
    open             INTEGER NOT NULL CHECK (open IN (0, 1)),
    PRIMARY KEY (restaurant_id, region)
) STRICT, WITHOUT ROWID;

-- Analytics: what happened in a stretch of time, per region and per region and cell, and in all regions together (the
-- region without a name); see projections/tally.rs.
CREATE TABLE rollups (
    level            INTEGER NOT NULL,          -- projections/analytics.rs, Level
    region           TEXT    NOT NULL,
    start_ms         INTEGER NOT NULL,
    cell             INTEGER NOT NULL,          -- 0: the whole region
    counts           BLOB    NOT NULL,          -- projections/tally.rs, Counts
    spans            BLOB    NOT NULL,          -- the same, Spans
    PRIMARY KEY (level, region, start_ms, cell)
) STRICT, WITHOUT ROWID;

-- Events that contradict the state they meet: a fault in a node or in the hub, for a person to look at.
CREATE TABLE anomalies (
    region           TEXT    NOT NULL,
    seq              INTEGER NOT NULL,
    n                INTEGER NOT NULL,
    at_ms            INTEGER NOT NULL,
    order_id         BLOB,
    kind             TEXT    NOT NULL,
    detail           TEXT    NOT NULL,
    PRIMARY KEY (region, seq, n)
) STRICT, WITHOUT ROWID;
