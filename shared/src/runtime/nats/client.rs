//! Our connection to the broker.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr};

use super::{BrokerAccess, BrokerError};

/// First and longest pause between two attempts to connect.
const RETRY_MS: (u64, u64) = (100, 2_000);

/// Connects in the background and for as long as the program runs: this returns at once, also while the broker is down.
///
/// `name`: shown in the server's lists. `inbox_prefix`: `_INBOX.<region>` or `_INBOX.hub`; replies are fenced per region
/// by it, and with any other prefix no answer crosses the link.
///
/// # Errors
/// [`BrokerError::Option`] when the address cannot be read.
pub async fn connect(access: &BrokerAccess, name: &str, inbox_prefix: &str) -> Result<Client, BrokerError> {
    let parse = |url: &str| url.trim().parse::<ServerAddr>();
    let servers: Result<Vec<ServerAddr>, _> = access.url.split(',').map(parse).collect();
    let servers = servers.map_err(|error| BrokerError::Option(format!("broker address {}: {error}", access.url)))?;
    let mut options = ConnectOptions::new()
        .name(name)
        .custom_inbox_prefix(inbox_prefix)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(retry_delay)
        .connection_timeout(Duration::from_secs(3))
        // As on the links: a dead broker is noticed within 15 seconds.
        .ping_interval(Duration::from_secs(5))
        .event_callback(log_event);
    if let (Some(user), Some(password)) = (&access.user, &access.password) {
        options = options.user_and_password(user.clone(), password.expose().to_owned());
    }
    let connected = options.connect(servers).await;
    connected.map_err(|error| BrokerError::Option(format!("broker {}: {error}", access.url)))
}

fn retry_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    Duration::from_millis(RETRY_MS.0.saturating_mul(1 << doublings).min(RETRY_MS.1))
}

async fn log_event(event: Event) {
    match event {
        Event::Connected => tracing::info!("broker connected"),
        Event::Disconnected => tracing::warn!("broker disconnected; trying again"),
        Event::SlowConsumer(subscription) => {
            tracing::warn!(subscription, "messages were dropped: a subscriber is too slow");
        }
        // Among these are permission violations, which no call returns.
        Event::ServerError(error) => tracing::warn!(%error, "broker refused"),
        // One per failed attempt while the broker is away.
        Event::ClientError(error) => tracing::debug!(%error, "broker connection"),
        Event::LameDuckMode => tracing::info!("broker is about to stop"),
        Event::Draining | Event::Closed => tracing::debug!("broker connection closes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_two_seconds() {
        let pauses: Vec<u128> = (0..8).map(|attempt| retry_delay(attempt).as_millis()).collect();
        assert_eq!(pauses, [100, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(retry_delay(usize::MAX).as_millis(), 2_000);
    }
}
