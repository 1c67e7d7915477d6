//! Who asks. Only operators read the hub; the token's regions limit what they see.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::jwt::{Claims, Role};
use tomato_shared::runtime::problem::Problem;

use super::App;
use crate::clock;

/// The bearer of a valid token with the role of an operator.
#[derive(Debug)]
pub(super) struct Operator(Arc<Claims>);

impl Operator {
    /// Whether the operator may see a region.
    pub(super) fn sees(&self, region: &RegionId) -> bool {
        self.0.covers(region.as_str())
    }

    /// The regions the operator may see; `None`: all.
    pub(super) fn regions(&self) -> Option<BTreeSet<RegionId>> {
        let named = self.0.regions.as_ref()?;
        // A name that cannot be a region's names none.
        Some(named.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .ok_or_else(|| Problem::unauthorized("token_missing", "send Authorization: Bearer and a token"))?;
        let token = header
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| Problem::unauthorized("token_malformed", "send Authorization: Bearer and a token"))?;
        let claims = app
            .verifier
            .verify(token, clock::now().0 / 1_000)
            .map_err(|fault| Problem::unauthorized(fault.code(), fault.to_string()))?;
        match claims.role {
            Role::Operator => Ok(Self(claims)),
            Role::Customer | Role::Restaurant | Role::Driver | Role::Service => {
                Err(Problem::forbidden("only operators read the hub"))
            }
        }
    }
}
