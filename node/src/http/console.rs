//! `GET /console`: the page of those who run the city. It uses the public interface with their token, which comes with
//! the link from the hub's page or is pasted; like `/docs` it has no foreign parts and talks to this node only.

use axum::response::Response;
use tomato_shared::runtime::problem::Problem;

use super::call::Call;
use super::docs::file;

/// The page.
pub async fn page(_call: Call) -> Result<Response, Problem> {
    Ok(file("text/html; charset=utf-8", include_str!("console/index.html")))
}

/// What the page does.
pub async fn script(_call: Call) -> Result<Response, Problem> {
    Ok(file("text/javascript; charset=utf-8", include_str!("console/app.js")))
}

/// How the page looks.
pub async fn style(_call: Call) -> Result<Response, Problem> {
    Ok(file("text/css; charset=utf-8", include_str!("console/style.css")))
}
