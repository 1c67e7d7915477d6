//! Who asks. Only operators read the hub; the token's regions limit what they see, and their access what they may do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::jwt::{Claims, Role};
use tomato_shared::runtime::problem::Problem;

use super::App;
use crate::clock;
use crate::config::Access;
use crate::store::settle::Signed;

/// The bearer of a valid token with the role of an operator.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    claims: Arc<Claims>,
    access: Access,
}

impl Operator {
    /// Reads a token.
    pub(super) fn of(app: &App, token: &str) -> Result<Self, Problem> {
        let claims = app
            .verifier
            .verify(token, clock::now().0 / 1_000)
            .map_err(|fault| Problem::unauthorized(fault.code(), fault.to_string()))?;
        match claims.role {
            Role::Operator => Ok(Self {
                access: app.access.of(&claims.sub),
                claims,
            }),
            Role::Customer | Role::Restaurant | Role::Driver | Role::Service => {
                Err(Problem::forbidden("only operators read the hub"))
            }
        }
    }

    /// Whether the operator may see a region.
    pub(super) fn sees(&self, region: &RegionId) -> bool {
        self.claims.covers(region.as_str())
    }

    /// Whose token it is.
    pub(super) fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// For how long the token is good.
    pub(super) fn token_left(&self) -> Duration {
        let left_s = self.claims.exp.saturating_sub(clock::now().0 / 1_000);
        // Far ends are a matter of years; a timer wants no more than one.
        Duration::from_secs(u64::try_from(left_s).unwrap_or(0).min(365 * 86_400))
    }

    /// What the operator may do.
    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// The operator's signature under something that is done now; refused if the access does not reach.
    pub(super) fn sign(&self, needed: Access) -> Result<Signed, Problem> {
        if !self.access.covers(needed) {
            let (has, needed) = (self.access.name(), needed.name());
            return Err(Problem::forbidden(format!(
                "this needs the access of {needed}, yours is {has}"
            )));
        }
        Ok(Signed {
            by: self.claims.sub.clone(),
            at: clock::now(),
        })
    }

    /// The regions the operator may see; `None`: all.
    pub(super) fn regions(&self) -> Option<BTreeSet<RegionId>> {
        let named = self.claims.regions.as_ref()?;
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
        Self::of(app, token)
    }
}
