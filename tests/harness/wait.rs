//! Waiting for a condition. Nothing else in the tests waits for time to pass.

use std::time::Duration;

use tokio::time::Instant;

const POLL: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_millis(250);

/// Asks `condition` until it gives a value; gives up after `limit` and says what was awaited.
pub async fn poll_until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> Result<T, String> {
    let deadline = Instant::now() + limit;
    let mut pause = POLL;
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(format!("waited {} s in vain for: {what}", limit.as_secs_f32()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(POLL_MAX);
    }
}

/// [`poll_until`] for tests: panics at the deadline.
pub async fn wait_until<T>(what: &str, limit: Duration, condition: impl AsyncFnMut() -> Option<T>) -> T {
    match poll_until(what, limit, condition).await {
        Ok(value) => value,
        Err(text) => panic!("{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_is_asked_until_it_holds_or_time_is_up() {
        let mut asked = 0;
        let value = wait_until("the third time", Duration::from_secs(5), async || {
            asked += 1;
            (asked == 3).then_some(asked)
        })
        .await;
        assert_eq!(value, 3);
        let failed = poll_until::<()>("never", Duration::from_millis(30), async || None).await;
        assert!(failed.unwrap_err().contains("never"));
    }
}
