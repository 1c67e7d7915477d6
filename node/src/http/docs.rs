//! `GET /docs`: the interface to read and to try, in a browser. The page has no foreign parts, so it works offline and
//! under a policy that lets it talk to this node only.

use std::borrow::Cow;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use tomato_shared::runtime::problem::Problem;

use super::call::Call;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! media {
    ($($(#[doc = $doc:literal])+ $name:ident $media:literal;)*) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug)]
            pub enum $name {}

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({"type": "string", "contentMediaType": $media})
                }
            }
        )*
    };
}

media! {
    /// A page.
    Html "text/html";
    /// A module of a page.
    Script "text/javascript";
    /// How a page looks.
    Style "text/css";
}

/// The page.
pub async fn page(_call: Call) -> Result<Response, Problem> {
    Ok(file("text/html; charset=utf-8", include_str!("docs/index.html")))
}

/// What the page does.
pub async fn script(_call: Call) -> Result<Response, Problem> {
    Ok(file("text/javascript; charset=utf-8", include_str!("docs/app.js")))
}

/// How the page looks.
pub async fn style(_call: Call) -> Result<Response, Problem> {
    Ok(file("text/css; charset=utf-8", include_str!("docs/style.css")))
}

/// A part of a page, under a policy that lets it talk to this node only.
pub(super) fn file(media: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, text).into_response()
}
