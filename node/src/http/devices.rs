//! Where people are told of their orders: the devices that their apps register.

use axum::response::Response;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use tomato_shared::runtime::problem::Problem;

use super::call::{Call, ok};
use super::error;
use super::input::{Faults, Input, LOCALE, TOKEN};
use super::orders::List;
use crate::push::model::{DEVICE_NAME_MAX, Device, Party, Platform, TOKEN_MAX};
use crate::store::push::Errand;
use crate::store::reads;

/// A device that shows messages.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct DeviceInput {
    /// Through whom it is reached.
    #[garde(skip)]
    platform: Platform,
    /// What the push service gave the app; for Apple 64 to 200 hex digits.
    #[garde(length(chars, min = 1, max = TOKEN_MAX), pattern(TOKEN))]
    token: String,
    /// In which language it is read, BCP 47.
    #[serde(default = "english")]
    #[garde(length(chars, min = 2, max = 35), pattern(LOCALE))]
    locale: String,
}

fn english() -> String {
    "en".to_owned()
}

impl Input for DeviceInput {
    fn check(&self, faults: &mut Faults) {
        // It becomes a part of a path at Apple's.
        let hex = (64..=200).contains(&self.token.len()) && self.token.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.platform == Platform::Apns && !hex {
            faults.add("/token", "want 64 to 200 hex digits for apns");
        }
    }
}

fn name(call: &Call) -> Result<String, Problem> {
    let name = call.text("device");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=DEVICE_NAME_MAX).contains(&name.len()) && name.bytes().all(plain) {
        Ok(name.to_owned())
    } else {
        Err(error::invalid_path(
            "device",
            format!("want 1 to {DEVICE_NAME_MAX} of A-Z a-z 0-9 _ -"),
        ))
    }
}

/// Registers a device of the caller, or renews it. A token that somebody else registered before is theirs no more.
pub async fn write(call: Call, input: DeviceInput) -> Result<Response, Problem> {
    let device = Device {
        owner: call.caller()?.principal(),
        name: name(&call)?,
        party: Party::of(call.by()?).ok_or_else(error::forbidden)?,
        platform: input.platform,
        token: input.token,
        locale: input.locale,
        put_ms: call.app.clock.wall_ms(),
    };
    call.errand(Errand::PutDevice(device)).await
}

/// The caller's devices, the one that was registered last first.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let owner = call.caller()?.principal();
    let read = call
        .app
        .reads
        .read(move |connection| reads::push::own_devices(connection, &owner));
    ok(&List::of(read.await.map_err(error::from_read)?))
}

/// Takes a device away, as when its user signs out.
pub async fn remove(call: Call) -> Result<Response, Problem> {
    let errand = Errand::DropDevice {
        owner: call.caller()?.principal(),
        name: name(&call)?,
    };
    call.errand(errand).await
}
