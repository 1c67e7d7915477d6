//! What a row of the table of routes is made of.

use std::pin::Pin;

use axum::response::Response;
use axum::routing::MethodFilter;
use schemars::{Schema, SchemaGenerator};
use tomato_shared::runtime::jwt::Role;
use tomato_shared::runtime::problem::Problem;

use super::call::Call;

/// Methods in use. `HEAD` comes with `GET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or moves.
    Post,
    /// Writes as a whole; repeating it changes nothing more.
    Put,
    /// Takes away.
    Delete,
}

impl Method {
    /// As in `Allow`.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::Post => &["POST"],
            Self::Put => &["PUT"],
            Self::Delete => &["DELETE"],
        }
    }
}

impl From<Method> for MethodFilter {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Delete => Self::DELETE,
        }
    }
}

/// What matters more when there is too much to do; shed from `P4` up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Money, orders under way, and whether the node is alive.
    P0,
    /// Offers, reads of what is under way, live sockets.
    P1,
    /// New orders.
    P2,
    /// Browsing, history, edits.
    P3,
    /// Counts.
    P4,
}

/// Who may call. Which of their things they may touch is asked again, per object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// These roles.
    Roles(&'static [Role]),
    /// These roles; the token may stand in the query, as browsers cannot set a header on a WebSocket.
    Socket(&'static [Role]),
}

/// What a request may carry.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Nothing that is looked at.
    Ignored,
    /// Nothing, or an empty object.
    Empty,
    /// A table of comma-separated values.
    Csv {
        /// Largest body in bytes.
        limit: usize,
    },
    /// JSON of this shape.
    Json {
        /// Largest body in bytes.
        limit: usize,
        /// What it looks like.
        schema: SchemaOf,
    },
}

/// What an `Idempotency-Key` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// No command, no key.
    None,
    /// Makes the command repeatable.
    Accepted,
    /// Has to be there.
    Required,
}

/// Names a type's schema in a generator's definitions.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A query parameter or a header that a route looks at.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// As it is written.
    pub name: &'static str,
    /// One sentence for the reader of the documentation.
    pub about: &'static str,
    /// Whether it is a header.
    pub header: bool,
    /// Whether it has to be there.
    pub required: bool,
    /// What it looks like.
    pub schema: SchemaOf,
}

/// A success, and what comes with it: `()` for no body, `axum::response::Html` and its like for
/// pages; everything else is JSON.
#[derive(Debug, Clone, Copy)]
pub struct Success {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub schema: SchemaOf,
}

/// A running handler.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path template, `/v1/orders/{ord}`.
    pub path: &'static str,
    /// Load class.
    pub class: Class,
    /// Who may call.
    pub access: Access,
    /// One sentence for the reader of the documentation.
    pub summary: &'static str,
    /// What it looks at in query and headers; any other query parameter is refused.
    pub params: &'static [Param],
    /// What may be sent.
    pub body: Body,
    /// Whether it can be repeated.
    pub key: Key,
    /// What comes back when all is well.
    pub successes: &'static [Success],
    /// The handler's path, `orders::place`.
    pub name: &'static str,
    /// Runs it.
    pub handler: fn(Call) -> Answer,
}

impl Route {
    /// Whether it tells whoever watches the process how it is: never limited, so that a busy node is not taken for a
    /// dead one.
    pub fn is_probe(&self) -> bool {
        self.access == Access::Public && self.class == Class::P0
    }
}
