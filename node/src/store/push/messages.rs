//! Messages: made of events, sent again, settled, swept.

use rusqlite::{Connection, OptionalExtension as _, params};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use super::{
    Answer, Enqueue, ErrandError, Gone, NOTIFIED_SEQ, REPLAY_MAX, Scope, Settled, Verdict, Which, save, webhook,
};
use crate::push::model::{Attempt, Channel, Lane, NewMessage, State};
use crate::push::show::Replayed;
use crate::store::write::json;

/// Finished messages that are kept, whatever their age.
const LOG_ROWS_MAX: i64 = 100_000;

pub(super) fn add_message(connection: &Connection, message: &NewMessage, now: UnixMs) -> Result<(), ErrandError> {
    let sql = "INSERT INTO messages (id, lane, seq, state, made_at, due_at, ends_at, content, attempts)
               VALUES (?1, ?2, ?3, 1, ?4, ?4, ?5, ?6, '[]') ON CONFLICT (id) DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![
        message.id.bytes(),
        message.lane.to_stored(),
        i64::try_from(message.seq).unwrap_or(i64::MAX),
        now.0,
        message.ends_at.0,
        json(&message.content)?,
    ])?;
    Ok(())
}

pub(super) fn enqueued(connection: &Connection, enqueue: &Enqueue, now: UnixMs) -> Result<(), ErrandError> {
    for message in &enqueue.messages {
        add_message(connection, message, now)?;
    }
    let sql = "UPDATE webhooks SET missed = missed + ?2 WHERE id = ?1";
    for (id, count) in &enqueue.missed {
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        connection.prepare_cached(sql)?.execute(params![id.bytes(), count])?;
    }
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
    let upto = i64::try_from(enqueue.upto).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute(params![NOTIFIED_SEQ, upto])?;
    Ok(())
}

pub(super) fn replay(connection: &Connection, scope: Scope, which: Which, now: UnixMs) -> Result<Answer, ErrandError> {
    let (webhook, _) = webhook(connection, scope)?;
    let lane = Lane::Webhook(webhook.id).to_stored();
    let again = "state = 1, due_at = ?2, done_at = NULL, attempts = '[]'";
    let changed = match which {
        Which::One(id) => {
            let sql = format!("UPDATE messages SET {again} WHERE lane = ?1 AND id = ?3");
            let changed = connection
                .prepare_cached(&sql)?
                .execute(params![lane, now.0, id.bytes()])?;
            if changed == 0 {
                return Err(Rejection::NotFound.into());
            }
            changed
        }
        Which::Made { from, to, dead_only } => {
            let sql = format!(
                "UPDATE messages SET {again} WHERE nth IN (SELECT nth FROM messages WHERE lane = ?1 AND made_at >= ?3
                 AND made_at < ?4 AND state >= ?5 ORDER BY nth LIMIT ?6)"
            );
            let least = if dead_only { State::Dead } else { State::Delivered };
            let bounds = params![lane, now.0, from.0, to.0, least.to_stored(), REPLAY_MAX];
            connection.prepare_cached(&sql)?.execute(bounds)?
        }
    };
    let messages = u64::try_from(changed).unwrap_or(0);
    Ok((202, json(&Replayed { messages })?))
}

pub(super) fn settle(connection: &Connection, settled: &Settled, now: UnixMs) -> Result<(), ErrandError> {
    let sql = "SELECT lane, attempts FROM messages WHERE nth = ?1 AND state = 1";
    let found: Option<(Vec<u8>, String)> = connection
        .prepare_cached(sql)?
        .query_row([settled.nth], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((lane, attempts)) = found else { return Ok(()) };
    let mut attempts: Vec<Attempt> = serde_json::from_str(&attempts).unwrap_or_default();
    if attempts.len() != settled.tries {
        return Ok(());
    }
    attempts.extend(settled.attempt.clone());
    if let Verdict::Gone(gone) = &settled.verdict {
        forget(connection, gone)?;
    }
    let is_webhook = Lane::from_stored(&lane).is_some_and(|lane| lane.channel() == Channel::Webhook);
    let (state, due_at) = match &settled.verdict {
        Verdict::Again(at) => (State::Waiting, at.0),
        Verdict::Delivered if is_webhook => (State::Delivered, 0),
        Verdict::Dead => (State::Dead, 0),
        Verdict::Gone(_) if is_webhook => (State::Dead, 0),
        // Nobody asks any more what was shown on a telephone.
        Verdict::Delivered | Verdict::Gone(_) => {
            let sql = "DELETE FROM messages WHERE nth = ?1";
            connection.prepare_cached(sql)?.execute([settled.nth])?;
            return Ok(());
        }
    };
    let sql = "UPDATE messages SET state = ?2, due_at = ?3, done_at = ?4, attempts = ?5 WHERE nth = ?1";
    let done_at = (state != State::Waiting).then_some(now.0);
    connection.prepare_cached(sql)?.execute(params![
        settled.nth,
        state.to_stored(),
        due_at,
        done_at,
        json(&attempts)?
    ])?;
    Ok(())
}

fn forget(connection: &Connection, gone: &Gone) -> Result<(), ErrandError> {
    match gone {
        Gone::Before => {}
        Gone::Device { owner, name, token } => {
            let sql = "DELETE FROM devices WHERE owner = ?1 AND name = ?2 AND token = ?3";
            connection.prepare_cached(sql)?.execute([owner, name, token])?;
        }
        Gone::Webhook(id) => {
            let scope = Scope {
                id: *id,
                restaurant_id: None,
            };
            let (mut webhook, _) = webhook(connection, scope)?;
            webhook.active = false;
            webhook.off_because = Some("it answered 410 Gone".to_owned());
            save(connection, &webhook)?;
        }
    }
    Ok(())
}

/// Removes finished messages that are old, or too many. Says whether there may be more.
pub fn sweep(connection: &Connection, before: UnixMs, rows: i64) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM messages WHERE nth IN (SELECT nth FROM
               (SELECT nth, done_at FROM messages WHERE state <> 1 ORDER BY nth LIMIT ?1)
               WHERE done_at < ?2 OR nth < (SELECT max(nth) FROM messages) - ?3)";
    let gone = connection
        .prepare_cached(sql)?
        .execute(params![rows, before.0, LOG_ROWS_MAX])?;
    Ok(i64::try_from(gone).is_ok_and(|gone| gone == rows))
}
