//! What payment providers tell on their own. Only the signature over the bytes says who speaks; each message is taken in
//! once, in one transaction with what it causes; none is dropped.

use axum::response::Response;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tomato_shared::runtime::problem::Problem;

use super::call::{Call, ok};
use super::error;
use crate::engine::command::{Command, ProviderEvent};
use crate::engine::model::By;
use crate::payments::signature::Unsigned;
use crate::writer::{Context, IdempotencyKey};

/// A message in the provider's own form.
#[derive(Debug, JsonSchema)]
#[schemars(inline)]
pub struct ProviderMessage {
    #[expect(dead_code, reason = "only its schema is used; the bytes are checked as they are")]
    #[schemars(flatten)]
    fields: serde_json::Map<String, serde_json::Value>,
}

/// The message is safe here and need not be sent again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Heard {
    received: bool,
}

/// Stripe's messages.
pub async fn stripe(call: Call) -> Result<Response, Problem> {
    hear(call, "stripe").await
}

/// Razorpay's messages.
pub async fn razorpay(call: Call) -> Result<Response, Problem> {
    hear(call, "razorpay").await
}

/// Takes a message in. Refused with 400 where the signature is missing, wrong or too old, and with 404 where the region has
/// another provider; then nothing is changed.
async fn hear(call: Call, provider: &'static str) -> Result<Response, Problem> {
    let headers = &call.parts.headers;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let read = call.app.provider.read_webhook(provider, header, &call.body);
    let mut event = read.map_err(|fault| refused(provider, fault))?;
    if let Err(fault) = call.app.provider.look_into(&mut event).await {
        tracing::warn!(provider, kind = event.kind, %fault, "a webhook has to come again");
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "provider_unreachable",
            fault.to_string(),
        ));
    }
    let context = Context {
        key: Some(key(&event)),
        trace: call.trace.clone(),
        ..Context::default()
    };
    let command = Command::ProviderEvent(Box::new(event));
    let submitted = call.app.writer.submit(By::Provider, command, context).await;
    submitted.map_err(error::from_failure)?;
    ok(&Heard { received: true })
}

/// The provider's id of the message, so that the answer to it is stored with its effect and found when it comes again.
/// Two deliveries of one message may differ in bytes that mean nothing, so the body is no part of it.
fn key(event: &ProviderEvent) -> IdempotencyKey {
    let mut hash = Sha256::new();
    for part in ["webhook", event.provider, event.event_id.as_str()] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    IdempotencyKey {
        key,
        fingerprint: [0; 16],
    }
}

fn refused(provider: &str, fault: Unsigned) -> Problem {
    if fault == Unsigned::OtherProvider {
        return error::not_found();
    }
    tracing::warn!(provider, %fault, "a webhook was refused");
    Problem::new(StatusCode::BAD_REQUEST, "signature_invalid", fault.to_string())
}
