//! `POST /v1/phone-hashes`: what stands for a telephone number in the orders of the fleet. In the body and not in a query, so
//! that no log and no history of a browser has the number.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::phone::{Phone, PhoneHash};
use tomato_shared::runtime::problem::Problem;

use super::App;
use super::auth::Operator;
use crate::config::Access;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PhoneBody {
    phone: Phone,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Hashed {
    /// For `/v1/orders?phone_hash=`.
    phone_hash: PhoneHash,
}

pub(super) async fn hash(
    operator: Operator,
    State(app): State<App>,
    body: Result<Json<PhoneBody>, JsonRejection>,
) -> Result<Json<Hashed>, Problem> {
    operator.sign(Access::Operator)?;
    let Json(body) = body.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    Ok(Json(Hashed {
        phone_hash: app.phone_key.hash(&body.phone),
    }))
}
