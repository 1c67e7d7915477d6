//! Who calls: a bearer token becomes a [`By`], or a 401 or 403.

use http::header::AUTHORIZATION;
use http::request::Parts;
use tomato_shared::runtime::jwt::{Claims, Role};
use tomato_shared::runtime::problem::Problem;

use super::table::Access;
use super::{App, error};
use crate::engine::model::By;

/// A caller whose token was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// As decisions see them.
    pub by: By,
    /// What the token lets them act as.
    pub role: Role,
    /// Whose token it is.
    pub subject: String,
    /// When it ends, in Unix seconds of real time.
    pub expires_s: i64,
}

impl Caller {
    /// Names the caller among all callers.
    pub fn principal(&self) -> String {
        format!("{} {}", self.role.as_str(), self.subject)
    }
}

/// Checks what a route asks of its caller; `None` for public routes.
pub fn check(app: &App, access: Access, parts: &Parts) -> Result<Option<Caller>, Problem> {
    let (roles, query) = match access {
        Access::Public => return Ok(None),
        Access::Roles(roles) => (roles, false),
        Access::Socket(roles) => (roles, true),
    };
    let token = match bearer(parts)? {
        Some(token) => token,
        None => query.then(|| in_query(parts)).flatten().ok_or_else(missing)?,
    };
    identify(app, &token, roles).map(Some)
}

/// The caller of a public route, for those who send a token without need; anybody else is nobody.
pub fn known(app: &App, parts: &Parts) -> Option<Caller> {
    let token = bearer(parts).ok()??;
    let anybody = [Role::Customer, Role::Restaurant, Role::Driver, Role::Operator];
    identify(app, &token, &anybody).ok()
}

fn identify(app: &App, token: &str, roles: &[Role]) -> Result<Caller, Problem> {
    let now_s = app.clock.wall_seconds();
    let claims = app
        .verifier
        .verify(token, now_s)
        .map_err(|fault| Problem::unauthorized(fault.code(), fault.to_string()))?;
    let region = app.policy.region.as_str();
    if !claims.covers(region) {
        return Err(error::wrong_region(region));
    }
    if !roles.contains(&claims.role) {
        return Err(error::forbidden());
    }
    let by = by(&claims)
        .ok_or_else(|| Problem::unauthorized("token_subject_invalid", "the token's subject does not fit its role"))?;
    Ok(Caller {
        by,
        role: claims.role,
        subject: claims.sub.clone(),
        expires_s: claims.exp,
    })
}

/// 401 without a token.
pub fn missing() -> Problem {
    Problem::unauthorized("token_missing", "send Authorization: Bearer <token>")
}

fn bearer(parts: &Parts) -> Result<Option<String>, Problem> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value
        .to_str()
        .ok()
        .filter(|_| values.next().is_none())
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    let malformed = || Problem::unauthorized("token_malformed", "want one header Authorization: Bearer <token>");
    token.map(Some).ok_or_else(malformed)
}

/// Tokens are base64url and dots, so nothing in them is ever escaped.
fn in_query(parts: &Parts) -> Option<String> {
    let pairs = parts.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let mut tokens = pairs
        .filter(|(name, _)| *name == "access_token")
        .map(|(_, token)| token);
    tokens.next().filter(|token| !token.is_empty()).map(str::to_owned)
}

fn by(claims: &Claims) -> Option<By> {
    match claims.role {
        Role::Customer => claims.sub.parse().ok().map(By::Customer),
        Role::Operator => claims.sub.parse().ok().map(By::Operator),
        Role::Driver => claims.sub.parse().ok().map(By::Driver),
        Role::Restaurant => claims.restaurant.as_ref()?.parse().ok().map(By::Restaurant),
        Role::Service => None,
    }
}
