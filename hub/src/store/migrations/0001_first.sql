-- Regions that may send events. A removed region keeps its row, because its events and totals stay.
CREATE TABLE regions (
    region           TEXT    NOT NULL PRIMARY KEY,
    public_key       TEXT    NOT NULL UNIQUE,   -- nkey of the region's leaf link; the seed is never stored
    added_at_ms      INTEGER NOT NULL,
    rotated_at_ms    INTEGER,                   -- when the key was last replaced
    removed_at_ms    INTEGER                    -- NULL while the region may connect
) STRICT;

-- The last sign of life of each region, so that a restarted hub still knows what it does not know.
CREATE TABLE heartbeats (
    region           TEXT    NOT NULL PRIMARY KEY REFERENCES regions (region),
    received_at_ms   INTEGER NOT NULL,
    body             BLOB    NOT NULL           -- shared::sync::Heartbeat, MessagePack
) STRICT;

-- How far each region is applied. Written in the transaction that applies.
CREATE TABLE cursors (
    region           TEXT    NOT NULL PRIMARY KEY REFERENCES regions (region),
    incarnation      INTEGER NOT NULL,
    seq              INTEGER NOT NULL,
    at_ms            INTEGER NOT NULL           -- when the region decided the newest applied event
) STRICT;

-- Where the hub stands in its own stream. Only a hint for the next start: the cursors decide.
CREATE TABLE ingest (
    id               INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    stream_id        INTEGER NOT NULL,          -- creation time of the stream in ns: tells a recreated one apart
    stream_seq       INTEGER NOT NULL
) STRICT;

-- Regions that were not registered when their messages went by, and where to read again once they are.
CREATE TABLE passed_by (
    region           TEXT    NOT NULL PRIMARY KEY,
    stream_seq       INTEGER NOT NULL
) STRICT;

-- Every applied event as it was received. All other tables about orders can be rebuilt from these two. The newest of
-- each region stand in `events`; as soon as a block of sequences is whole, it is packed (store/archive.rs).
CREATE TABLE events (
    region           TEXT    NOT NULL REFERENCES regions (region),
    seq              INTEGER NOT NULL,
    payload          BLOB    NOT NULL,          -- the envelope, MessagePack
    PRIMARY KEY (region, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE event_blocks (
    region           TEXT    NOT NULL REFERENCES regions (region),
    first_seq        INTEGER NOT NULL,
    raw_bytes        INTEGER NOT NULL,
    body             BLOB    NOT NULL,          -- Zstandard; each envelope after its length, 32 bits little-endian
    PRIMARY KEY (region, first_seq)
) STRICT;

-- Events of regions that have since been restored from copies made before them: not part of any total, kept for people.
CREATE TABLE forgotten (
    region           TEXT    NOT NULL REFERENCES regions (region),
    by_incarnation   INTEGER NOT NULL,          -- which went on without them
    seq              INTEGER NOT NULL,
    at_ms            INTEGER NOT NULL,
    type             TEXT    NOT NULL,
    order_id         BLOB,
    payload          BLOB    NOT NULL,
    PRIMARY KEY (region, by_incarnation, seq)
) STRICT, WITHOUT ROWID;

-- Projection: where each order stands.
CREATE TABLE orders (
    order_id         BLOB    NOT NULL PRIMARY KEY CHECK (length(order_id) = 16),
    region           TEXT    NOT NULL REFERENCES regions (region),
    version          INTEGER NOT NULL,
    state            TEXT    NOT NULL,
    customer_id      BLOB    NOT NULL,
    restaurant_id    BLOB    NOT NULL,
    driver_id        BLOB,
    method           TEXT    NOT NULL,
    total_minor      INTEGER NOT NULL,
    refunded_minor   INTEGER NOT NULL,
    currency         TEXT    NOT NULL,
    cell             INTEGER NOT NULL,
    placed_at_ms     INTEGER NOT NULL,
    updated_at_ms    INTEGER NOT NULL,
    final_at_ms      INTEGER,
    cancel_reason    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_newest ON orders (placed_at_ms, order_id);
CREATE INDEX orders_newest_of_region ON orders (region, placed_at_ms, order_id);
CREATE INDEX orders_newest_in_state ON orders (state, placed_at_ms, order_id);

-- Projection: counts per region.
CREATE TABLE region_totals (
    region           TEXT    NOT NULL PRIMARY KEY REFERENCES regions (region),
    placed           INTEGER NOT NULL,
    delivered        INTEGER NOT NULL,
    cancelled        INTEGER NOT NULL,
    payment_failed   INTEGER NOT NULL,
    active           INTEGER NOT NULL
) STRICT;

-- Projection: money per region and currency. Revenue: totals of delivered orders. Refunded: money that had moved
-- and went back; a given-up authorisation is not counted.
CREATE TABLE region_money (
    region           TEXT    NOT NULL REFERENCES regions (region),
    currency         TEXT    NOT NULL,
    revenue_minor    INTEGER NOT NULL,
    refunded_minor   INTEGER NOT NULL,
    PRIMARY KEY (region, currency)
) STRICT, WITHOUT ROWID;

-- Projection: delivered orders by the time from placing to delivery, in the buckets of projections/totals.rs.
CREATE TABLE click_to_door (
    region           TEXT    NOT NULL REFERENCES regions (region),
    bucket           INTEGER NOT NULL,
    orders           INTEGER NOT NULL,
    PRIMARY KEY (region, bucket)
) STRICT, WITHOUT ROWID;

-- Events that contradict the state they meet: a fault in a node or in the hub, for a person to look at.
CREATE TABLE anomalies (
    id               INTEGER NOT NULL PRIMARY KEY,
    region           TEXT    NOT NULL,
    seq              INTEGER NOT NULL,
    order_id         BLOB,
    kind             TEXT    NOT NULL,
    detail           TEXT    NOT NULL
) STRICT;

-- Messages that cannot be what they claim. Bounded: the oldest go first.
CREATE TABLE quarantine (
    id               INTEGER NOT NULL PRIMARY KEY,
    received_at_ms   INTEGER NOT NULL,
    region           TEXT    NOT NULL,          -- by the server's header; by the request for repaired rows
    seq              INTEGER NOT NULL,
    reason           TEXT    NOT NULL,
    payload          BLOB    NOT NULL,          -- the first 64 KiB
    UNIQUE (region, seq, reason)
) STRICT;
