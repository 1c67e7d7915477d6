//! Payment providers. Called by [`crate::tasks`] only, after the intent is committed; what they say unasked comes in by
//! `http/webhooks.rs`.
//!
//! | module | is |
//! |---|---|
//! | [`stripe`] [`razorpay`] | the two that move money |
//! | [`simulated`] | one that moves nothing, for development |
//! | [`wire`] | calls over HTTPS: time-outs, size limits, circuit breaker, retry budget |
//! | [`signature`] | whether a webhook is theirs |
//!
//! Cash needs no provider: the driver takes it, and the engine books it.

pub mod razorpay;
pub mod signature;
pub mod simulated;
pub mod stripe;
mod stripe_calls;
mod stripe_disputes;
mod stripe_lookup;
pub mod wire;

use tokio::sync::watch;
use tomato_shared::time::DurationMs;

use crate::clock::Clock;
use crate::config::{Config, ProviderKind, SecretError};
use crate::engine::command::{PaymentOutcome, ProviderEvent};
use crate::engine::task::Task;
use crate::reconcile::Movement;
use razorpay::Razorpay;
use signature::Unsigned;
use simulated::Simulated;
use stripe::Stripe;

/// The provider gave no answer that settles the matter: a time-out, a 5xx, a cut line. Whether it acted is unknown, so the
/// same call is made again with the same key until there is an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the payment provider: {0}")]
pub struct NoAnswer(pub String);

impl From<&str> for NoAnswer {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Where the simulated provider keeps what it would have moved, in the node's data directory.
pub const SIMULATED_LEDGER: &str = "simulated.db";

/// Why a node has no provider.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file of the simulated one.
    #[error("the ledger of the simulated provider cannot be opened: {0}; see that the data directory can be written")]
    Ledger(#[from] rusqlite::Error),
    /// The HTTP client.
    #[error("the client of the payment provider cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// The provider of a region's card payments.
#[derive(Debug)]
pub enum Provider {
    /// Moves nothing.
    Simulated(Simulated),
    /// Stripe.
    Stripe(Stripe),
    /// Razorpay.
    Razorpay(Razorpay),
}

impl Provider {
    /// The provider that the configuration names.
    ///
    /// # Errors
    /// [`ProviderError`] where a key or TLS is missing.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, ProviderError> {
        let payments = &config.payments;
        let region = config.region.id.as_ref().map(ToString::to_string).unwrap_or_default();
        Ok(match payments.provider {
            ProviderKind::Simulated => {
                let delay = DurationMs(payments.simulated_delay_ms);
                Self::Simulated(Simulated::new(clock, delay, &config.data_dir.join(SIMULATED_LEDGER))?)
            }
            ProviderKind::Stripe => Self::Stripe(Stripe::new(payments, region, clock)?),
            ProviderKind::Razorpay => Self::Razorpay(Razorpay::new(payments, region, clock)?),
        })
    }

    /// Its name, as in routes.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Simulated(_) => "simulated",
            Self::Stripe(_) => "stripe",
            Self::Razorpay(_) => "razorpay",
        }
    }

    /// Makes the call of a task, or asks what became of it. Repeating it is harmless: it is the same attempt until the
    /// task names another. `again`: the last try of this process had no answer.
    ///
    /// # Errors
    /// [`NoAnswer`] where nothing is known; the task stays open.
    pub async fn call(&self, task: &Task, again: bool) -> Result<PaymentOutcome, NoAnswer> {
        match self {
            Self::Simulated(simulated) => simulated.call(task).await,
            Self::Stripe(stripe) => {
                stripe.wire.afford(again)?;
                stripe.call(task).await
            }
            Self::Razorpay(razorpay) => {
                razorpay.wire.afford(again)?;
                razorpay.call(task).await
            }
        }
    }

    /// Whether the provider is out of reach. The simulated one never is: nobody sends.
    pub fn down(&self) -> watch::Receiver<bool> {
        match self {
            Self::Simulated(_) => watch::channel(false).1,
            Self::Stripe(stripe) => stripe.wire.down(),
            Self::Razorpay(razorpay) => razorpay.wire.down(),
        }
    }

    /// Asks something harmless, to learn whether the provider is there again.
    ///
    /// # Errors
    /// [`NoAnswer`] where it is not.
    pub async fn probe(&self) -> Result<(), NoAnswer> {
        match self {
            Self::Simulated(_) => Ok(()),
            Self::Stripe(stripe) => stripe.probe().await,
            Self::Razorpay(razorpay) => razorpay.probe().await,
        }
    }

    /// Everything that the provider has moved for this region since then (seconds since 1970), for [`crate::reconcile`].
    ///
    /// # Errors
    /// [`NoAnswer`] where a page does not come; nothing is given rather than a part.
    pub async fn movements(&self, since_s: i64) -> Result<Vec<Movement>, NoAnswer> {
        match self {
            Self::Simulated(simulated) => simulated.movements(since_s),
            Self::Stripe(stripe) => stripe.movements(since_s).await,
            Self::Razorpay(razorpay) => razorpay.movements(since_s).await,
        }
    }

    /// Asks what a webhook that was read leaves open: how a dispute stands, and whose it is.
    ///
    /// # Errors
    /// [`NoAnswer`] where the provider does not say; it sends the message again.
    pub async fn look_into(&self, event: &mut ProviderEvent) -> Result<(), NoAnswer> {
        match self {
            Self::Simulated(_) => Ok(()),
            Self::Stripe(stripe) => stripe.look_into(event).await,
            Self::Razorpay(razorpay) => razorpay.look_into(event).await,
        }
    }

    /// Reads a webhook: whose it is, and about which order. `header` gives a header's text.
    ///
    /// # Errors
    /// [`Unsigned`] where it is not the provider's, too old, or says nothing that can be read.
    pub fn read_webhook<'h>(
        &self,
        provider: &str,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
    ) -> Result<ProviderEvent, Unsigned> {
        if provider != self.name() {
            return Err(Unsigned::OtherProvider);
        }
        match self {
            Self::Simulated(_) => Err(Unsigned::OtherProvider),
            Self::Stripe(stripe) => stripe.read_webhook(header("stripe-signature"), body),
            Self::Razorpay(razorpay) => {
                razorpay.read_webhook(header("x-razorpay-signature"), header("x-razorpay-event-id"), body)
            }
        }
    }
}
