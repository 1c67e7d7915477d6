//! Devices, webhooks and messages, for those who send and those who look.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tomato_shared::event::{self, Decoded, Envelope};
use tomato_shared::id::{Id, WebhookId};
use tomato_shared::time::UnixMs;

use super::{Page, corrupt, doc, prepare};
use crate::engine::model::Order;
use crate::push::model::{Content, DEVICES_MAX, EVENT_TYPES, Lane, Message, Party, Platform, State, Webhook};
use crate::push::show::DeviceView;
use crate::store::StoreError;
use crate::store::push::{NOTIFIED_SEQ, Scope};

/// Webhooks of a region that are looked at; more cannot be made.
const WEBHOOKS_MAX: i64 = 10_000;

/// Where a device is reached.
#[derive(Debug, Clone)]
pub struct Target {
    /// Role and subject of the token that registered it.
    pub owner: String,
    /// As the app calls it.
    pub name: String,
    /// Through whom.
    pub platform: Platform,
    /// The service's token.
    pub token: String,
    /// BCP 47.
    pub locale: String,
    /// When it was registered last, by real time.
    pub put_ms: i64,
}

fn failed() -> impl FnOnce(rusqlite::Error) -> StoreError {
    StoreError::sqlite("read what is to be told")
}

fn target(row: &Row<'_>) -> rusqlite::Result<Target> {
    let platform: String = row.get(2)?;
    Ok(Target {
        owner: row.get(0)?,
        name: row.get(1)?,
        platform: if platform == Platform::Apns.name() {
            Platform::Apns
        } else {
            Platform::Fcm
        },
        token: row.get(3)?,
        locale: row.get(4)?,
        put_ms: row.get(5)?,
    })
}

/// Devices that show somebody's messages, at most a hundred times what one person may have.
pub fn devices_of(connection: &Connection, party: Party) -> Result<Vec<Target>, StoreError> {
    let sql =
        "SELECT owner, name, platform, token, locale, put_ms FROM devices WHERE party = ?1 AND subject = ?2 LIMIT ?3";
    let (kind, subject) = party.to_stored();
    let rows = prepare(connection, sql)?
        .query_map(params![kind, subject, DEVICES_MAX * 100], target)
        .and_then(Iterator::collect);
    rows.map_err(failed())
}

/// One device.
pub fn device(connection: &Connection, owner: &str, name: &str) -> Result<Option<Target>, StoreError> {
    let sql = "SELECT owner, name, platform, token, locale, put_ms FROM devices WHERE owner = ?1 AND name = ?2";
    let row = prepare(connection, sql)?.query_row([owner, name], target).optional();
    row.map_err(failed())
}

/// Somebody's own devices, newest first.
pub fn own_devices(connection: &Connection, owner: &str) -> Result<Vec<DeviceView>, StoreError> {
    let sql =
        "SELECT owner, name, platform, token, locale, put_ms FROM devices WHERE owner = ?1 ORDER BY put_ms DESC, name";
    let rows: Result<Vec<Target>, _> = prepare(connection, sql)?
        .query_map([owner], target)
        .and_then(Iterator::collect);
    let view = |target: Target| DeviceView {
        name: target.name,
        platform: target.platform,
        locale: target.locale,
        put_at: UnixMs(target.put_ms),
    };
    Ok(rows.map_err(failed())?.into_iter().map(view).collect())
}

/// Webhooks, oldest first, each with the events that it missed.
pub fn webhooks(connection: &Connection) -> Result<Vec<(Webhook, u64)>, StoreError> {
    let mut statement = prepare(connection, "SELECT doc, missed FROM webhooks ORDER BY id LIMIT ?1")?;
    let mut rows = statement.query([WEBHOOKS_MAX]).map_err(failed())?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        let missed: i64 = row.get(1).map_err(failed())?;
        all.push((doc("webhooks", row, 0)?, missed.unsigned_abs()));
    }
    Ok(all)
}

/// One webhook, if it may be touched.
pub fn webhook(connection: &Connection, scope: Scope) -> Result<Option<(Webhook, u64)>, StoreError> {
    let mut statement = prepare(connection, "SELECT doc, missed FROM webhooks WHERE id = ?1")?;
    let mut rows = statement.query([scope.id.bytes()]).map_err(failed())?;
    let Some(row) = rows.next().map_err(failed())? else {
        return Ok(None);
    };
    let webhook: Webhook = doc("webhooks", row, 0)?;
    let missed: i64 = row.get(1).map_err(failed())?;
    let mine = scope.restaurant_id.is_none() || scope.restaurant_id == webhook.restaurant_id;
    Ok(mine.then_some((webhook, missed.unsigned_abs())))
}

/// Whether a lane has so many waiting messages, or more.
pub fn is_full(connection: &Connection, lane: Lane, most: usize) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM messages WHERE lane = ?1 AND state = 1 LIMIT 1 OFFSET ?2";
    let most = i64::try_from(most).unwrap_or(i64::MAX).saturating_sub(1);
    let found: Option<i64> = prepare(connection, sql)?
        .query_row(params![lane.to_stored(), most], |row| row.get(0))
        .optional()
        .map_err(failed())?;
    Ok(found.is_some())
}

const COLUMNS: &str = "nth, id, lane, seq, state, made_at, due_at, ends_at, content, attempts";

fn message(row: &Row<'_>) -> Result<Message, StoreError> {
    let at = |column| row.get(column).map(UnixMs).map_err(failed());
    let lane: Vec<u8> = row.get(2).map_err(failed())?;
    let stored: i64 = row.get(4).map_err(failed())?;
    let state = State::ALL.into_iter().find(|state| state.to_stored() == stored);
    let seq: i64 = row.get(3).map_err(failed())?;
    let text: String = row.get(8).map_err(failed())?;
    let content: Content = crate::store::push::content(&text).ok_or_else(|| corrupt("messages", "its content"))?;
    Ok(Message {
        nth: row.get(0).map_err(failed())?,
        id: Id::from_bytes(row.get(1).map_err(failed())?),
        lane: Lane::from_stored(&lane).ok_or_else(|| corrupt("messages", "its lane"))?,
        seq: seq.unsigned_abs(),
        state: state.ok_or_else(|| corrupt("messages", "its state"))?,
        made_at: at(5)?,
        due_at: at(6)?,
        ends_at: at(7)?,
        content,
        attempts: doc("messages", row, 9)?,
    })
}

/// Messages of a lane, by when they are due, up to the first that is not due yet; at most `limit`.
pub fn due(connection: &Connection, lane: Lane, now: UnixMs, limit: usize) -> Result<Vec<Message>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM messages WHERE lane = ?1 AND state = 1 ORDER BY due_at, nth LIMIT ?2");
    let mut statement = prepare(connection, &sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![lane.to_stored(), limit]).map_err(failed())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        found.push(message(row)?);
        if found.last().is_some_and(|last| last.due_at > now) {
            break;
        }
    }
    Ok(found)
}

/// Which messages are asked for.
#[derive(Debug, Clone, Copy)]
pub struct MessageQuery {
    /// Of one webhook; `None` for every channel.
    pub webhook_id: Option<WebhookId>,
    /// In this state.
    pub state: Option<State>,
    /// Made before this one.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// A page of messages, newest first. Without a webhook only dead ones can be asked for.
pub fn messages(connection: &Connection, query: &MessageQuery) -> Result<Page<Message, i64>, StoreError> {
    let wanted = query
        .state
        .map_or("true".to_owned(), |state| format!("state = {}", state.to_stored()));
    let of = if query.webhook_id.is_some() {
        "lane = ?1"
    } else {
        "?1 IS NULL"
    };
    let sql = format!("SELECT {COLUMNS} FROM messages WHERE {of} AND {wanted} AND nth < ?2 ORDER BY nth DESC LIMIT ?3");
    let lane = query.webhook_id.map(|id| Lane::Webhook(id).to_stored());
    let more_than = i64::try_from(query.limit + 1).unwrap_or(i64::MAX);
    let mut statement = prepare(connection, &sql)?;
    let mut rows = statement
        .query(params![lane, query.before.unwrap_or(i64::MAX), more_than])
        .map_err(failed())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        found.push(message(row)?);
    }
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let next = found.last().map(|message| message.nth).filter(|_| more);
    Ok(Page { rows: found, next })
}

/// How many messages wait, and how many are dead, by lane.
pub fn message_counts(connection: &Connection) -> Result<Vec<(Lane, State, u32)>, StoreError> {
    let sql = "SELECT lane, 1, count(*) FROM messages WHERE state = 1 GROUP BY lane
               UNION ALL SELECT lane, 3, count(*) FROM messages WHERE state = 3 GROUP BY lane";
    let mut statement = prepare(connection, sql)?;
    let mut rows = statement.query([]).map_err(failed())?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        let (lane, state): (Vec<u8>, i64) = (row.get(0).map_err(failed())?, row.get(1).map_err(failed())?);
        let state = if state == 1 { State::Waiting } else { State::Dead };
        if let Some(lane) = Lane::from_stored(&lane) {
            all.push((lane, state, row.get(2).map_err(failed())?));
        }
    }
    Ok(all)
}

/// Newest event whose messages are written; `None` before the first.
pub fn notified_seq(connection: &Connection) -> Result<Option<u64>, StoreError> {
    let seq: Option<i64> = prepare(connection, "SELECT value FROM meta WHERE key = ?1")?
        .query_row([NOTIFIED_SEQ], |row| row.get(0))
        .optional()
        .map_err(failed())?;
    Ok(seq.map(i64::unsigned_abs))
}

/// Events about orders after a sequence, oldest first, each with its order as it stands now; and the sequence up to which
/// was looked, at most `window` further on.
pub fn events_with_orders(
    connection: &Connection,
    after: u64,
    window: u64,
) -> Result<(Vec<(Envelope, Order)>, u64), StoreError> {
    let transaction = connection.unchecked_transaction().map_err(failed())?;
    let upto = after.saturating_add(window).min(super::head_seq(&transaction)?);
    // Events that nobody is told of need not be read: their orders are long.
    let told = EVENT_TYPES.join("', '");
    let sql = format!(
        "SELECT outbox.payload, orders.doc FROM outbox JOIN orders ON orders.id = outbox.order_id
         WHERE outbox.seq > ?1 AND outbox.seq <= ?2 AND outbox.type IN ('{told}') ORDER BY outbox.seq"
    );
    let bound = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
    let mut statement = prepare(&transaction, &sql)?;
    let mut rows = statement.query((bound(after), bound(upto))).map_err(failed())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        let payload = row.get_ref(0).map_err(failed())?;
        let payload = payload.as_blob().map_err(|error| corrupt("outbox", error))?;
        if let Decoded::Known(envelope) = event::decode(payload).map_err(|error| corrupt("outbox", error))? {
            found.push((*envelope, doc("orders", row, 1)?));
        }
    }
    Ok((found, upto.max(after)))
}

/// Whether there is anybody who could be told anything.
pub fn has_receivers(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM devices) OR EXISTS (SELECT 1 FROM webhooks WHERE active = 1)";
    prepare(connection, sql)?
        .query_row([], |row| row.get(0))
        .map_err(failed())
}
