-- One region. Ids are 16-byte blobs, times milliseconds since 1970, amounts minor units of the region's currency.
-- `doc` is the whole row as JSON; the columns beside it are what queries and audits look at, written from the same value.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value ANY  NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE restaurants (
    id   BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL,
    doc  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Counted items only.
CREATE TABLE stock (
    restaurant_id BLOB    NOT NULL,
    item_id       BLOB    NOT NULL,
    capacity      INTEGER NOT NULL,
    reserved      INTEGER NOT NULL,
    sold          INTEGER NOT NULL,
    PRIMARY KEY (restaurant_id, item_id),
    CHECK (reserved >= 0 AND sold >= 0 AND reserved + sold <= capacity)
) STRICT, WITHOUT ROWID;

CREATE TABLE reservations (
    order_id      BLOB    NOT NULL,
    restaurant_id BLOB    NOT NULL,
    item_id       BLOB    NOT NULL,
    quantity      INTEGER NOT NULL CHECK (quantity > 0),
    state         TEXT    NOT NULL CHECK (state IN ('held', 'consumed', 'released', 'expired')),
    expires_at    INTEGER NOT NULL,
    PRIMARY KEY (order_id, restaurant_id, item_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE drivers (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    online  INTEGER NOT NULL,
    leaving INTEGER NOT NULL,
    doc     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- On the way to another region, which has to be told until it knows.
CREATE INDEX drivers_leaving ON drivers (id) WHERE leaving = 1;

-- With a rowid, unlike most tables here: in a WITHOUT ROWID table a row over about 1 KB spills into a page of its own.
CREATE TABLE orders (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    customer_id   BLOB    NOT NULL,
    restaurant_id BLOB    NOT NULL,
    driver_id     BLOB,
    state         TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    total_minor   INTEGER NOT NULL,
    placed_at     INTEGER NOT NULL,
    ended_at      INTEGER,
    doc           TEXT    NOT NULL,
    -- Under which it was placed; a key of `idempotency` while that is kept.
    idempotency_key BLOB
) STRICT;

-- Ids of one customer or restaurant are time-ordered, so these serve "newest first" without a sort.
CREATE INDEX orders_by_customer ON orders (customer_id, id);
CREATE INDEX orders_by_restaurant ON orders (restaurant_id, id);
-- What a start has to load: everything that is not over.
CREATE INDEX orders_open ON orders (id) WHERE ended_at IS NULL;

CREATE TABLE timers (
    kind    INTEGER NOT NULL,
    subject BLOB    NOT NULL,
    due_at  INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

-- Calls to the outside that have to be made; a row goes in the transaction that records the outcome.
CREATE TABLE tasks (
    kind    INTEGER NOT NULL,
    subject BLOB    NOT NULL,
    nth     INTEGER NOT NULL,
    doc     TEXT    NOT NULL,
    PRIMARY KEY (kind, subject, nth)
) STRICT, WITHOUT ROWID;

-- Signed messages of a payment provider for people to look at: about orders that are not here, disputes, refunds that failed
-- after they had been done.
CREATE TABLE quarantine (
    provider TEXT    NOT NULL,
    event_id TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    body     TEXT    NOT NULL,
    PRIMARY KEY (provider, event_id)
) STRICT;

-- The region's own books: debits positive, credits negative, the entries of one `seq` sum to zero. Never changed.
CREATE TABLE postings (
    seq          INTEGER NOT NULL,
    nth          INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    order_id     BLOB,
    cause        TEXT    NOT NULL,
    account      TEXT    NOT NULL,
    party        TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor <> 0),
    PRIMARY KEY (seq, nth)
) STRICT, WITHOUT ROWID;

CREATE INDEX postings_by_party ON postings (party, at) WHERE party <> '';

-- Shifts that are over.
CREATE TABLE shifts (
    driver_id  BLOB    NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    PRIMARY KEY (driver_id, started_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE promotions (
    code TEXT NOT NULL PRIMARY KEY,
    doc  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE promo_uses (
    code        TEXT    NOT NULL,
    customer_id BLOB    NOT NULL,
    uses        INTEGER NOT NULL CHECK (uses >= 0),
    PRIMARY KEY (code, customer_id)
) STRICT, WITHOUT ROWID;

-- What customers gave, added up; kind 1 is a restaurant, 2 a driver.
CREATE TABLE stars (
    kind    INTEGER NOT NULL,
    subject BLOB    NOT NULL,
    sum     INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

-- The region's counts as of the event `seq`: one row, so that a start need not look at every order that ever was.
CREATE TABLE totals (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    doc TEXT    NOT NULL
) STRICT;

-- Every act of an operator. Never changed.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    operator_id BLOB    NOT NULL,
    action      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    detail      TEXT    NOT NULL
) STRICT;

-- With a rowid for the same reason: the stored answers are long.
CREATE TABLE idempotency (
    key         BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 16),
    fingerprint BLOB    NOT NULL,
    status      INTEGER NOT NULL,
    body        BLOB    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- The newest map of who owns which cells.
CREATE TABLE map (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    doc     TEXT    NOT NULL
) STRICT;

-- What the hub has said last of fees, promotions, switches and a pause.
CREATE TABLE control (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    doc     TEXT    NOT NULL
) STRICT;

-- What this region has done for cells that change hands, until that is over.
CREATE TABLE moves (
    id  INTEGER PRIMARY KEY,
    doc TEXT    NOT NULL
) STRICT;

-- What goes along with cells that have left, MessagePack, until the new owner has it.
CREATE TABLE parcels (
    move_id INTEGER PRIMARY KEY,
    doc     BLOB    NOT NULL
) STRICT;

-- Answers of `idempotency` that came along with cells, to go along again: where they were placed, and where to.
CREATE TABLE answers_that_came (
    key           BLOB NOT NULL PRIMARY KEY,
    restaurant_id BLOB NOT NULL,
    cell          INTEGER
) STRICT, WITHOUT ROWID;

-- Where people are reached. `party` 1 is a customer, 2 a restaurant, 3 a driver; `put_ms` is real time.
CREATE TABLE devices (
    owner    TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    party    INTEGER NOT NULL,
    subject  BLOB    NOT NULL CHECK (length(subject) = 16),
    platform TEXT    NOT NULL CHECK (platform IN ('fcm', 'apns')),
    token    TEXT    NOT NULL,
    locale   TEXT    NOT NULL,
    put_ms   INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

-- A telephone is in one hand at a time: who registers its token last has it.
CREATE UNIQUE INDEX devices_by_token ON devices (platform, token);
CREATE INDEX devices_by_subject ON devices (party, subject);

-- Addresses of partners that are told of events. Without a restaurant it is the operators'.
CREATE TABLE webhooks (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    restaurant_id BLOB,
    active        INTEGER NOT NULL,
    missed        INTEGER NOT NULL,
    doc           TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Messages to devices and webhooks. `lane` is one byte for a push service, or a webhook's id; `state` 1 waits, 2 is
-- delivered, 3 is dead. Rows come from the outbox, up to `notified_seq` in `meta`; their ids are made of the event and the
-- one who is told, so none is made twice.
CREATE TABLE messages (
    nth      INTEGER PRIMARY KEY,
    id       BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    lane     BLOB    NOT NULL,
    seq      INTEGER NOT NULL,
    state    INTEGER NOT NULL,
    made_at  INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    ends_at  INTEGER NOT NULL,
    done_at  INTEGER,
    content  TEXT    NOT NULL,
    attempts TEXT    NOT NULL
) STRICT;

CREATE INDEX messages_due ON messages (lane, due_at) WHERE state = 1;
CREATE INDEX messages_of_lane ON messages (lane, nth);
CREATE INDEX messages_done ON messages (nth) WHERE state <> 1;
CREATE INDEX messages_dead ON messages (nth) WHERE state = 3;

-- Row id == sequence in the region's stream: gapless, assigned by the writer, never reused.
CREATE TABLE outbox (
    seq           INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL,
    type          TEXT    NOT NULL,
    order_id      BLOB,
    order_version INTEGER,
    payload       BLOB    NOT NULL
) STRICT;

CREATE INDEX outbox_by_order ON outbox (order_id, order_version) WHERE order_id IS NOT NULL;
