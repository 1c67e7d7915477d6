//! Finds the intents of attempts whose answers were lost. After an outage there are many at once: one pass through Stripe's
//! list serves all that waited when it began.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::NoAnswer;
use super::stripe_calls::{Calls, Intent};
use crate::engine::task::Task;

/// What the newest pass found.
#[derive(Debug, Default)]
struct Pass {
    began: Option<Instant>,
    since_s: i64,
    /// Intent by payment and attempt.
    found: BTreeMap<(String, String), String>,
}

/// Shares passes.
#[derive(Debug)]
pub(super) struct Lookup {
    pass: Mutex<Pass>,
    /// How far back those who wait want to look.
    wanted_s: AtomicI64,
}

impl Default for Lookup {
    fn default() -> Self {
        Self {
            pass: Mutex::default(),
            wanted_s: AtomicI64::new(i64::MAX),
        }
    }
}

impl Lookup {
    /// The intent of this attempt among all that were made since `created_s`. Lists are complete at once, unlike Stripe's
    /// search, so nothing found in a pass that began after the question is proof that there is none.
    pub(super) async fn find(
        &self,
        calls: &Calls<'_>,
        task: &Task,
        created_s: i64,
    ) -> Result<Option<Intent>, NoAnswer> {
        let asked = Instant::now();
        self.wanted_s.fetch_min(created_s, Ordering::Relaxed);
        let mut pass = self.pass.lock().await;
        let serves = pass.began.is_some_and(|began| began > asked) && pass.since_s <= created_s;
        if !serves {
            let began = Instant::now();
            let since_s = self.wanted_s.swap(i64::MAX, Ordering::Relaxed).min(created_s);
            let rows = calls.all("payment_intents", since_s).await?;
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let found = rows.iter().map(|row| {
                let told = &row["metadata"];
                ((text(&told["payment"]), text(&told["attempt"])), text(&row["id"]))
            });
            *pass = Pass {
                began: Some(began),
                since_s,
                found: found.collect(),
            };
        }
        let key = (task.payment_id.to_string(), task.attempt.to_string());
        let id = pass.found.get(&key).cloned();
        drop(pass);
        match id {
            Some(id) => calls.read(&id).await,
            None => Ok(None),
        }
    }
}
