//! Every problem that HTTP shows, made in one place. Causes go to the log; strangers read codes and titles.

use http::StatusCode;
use rand::Rng as _;
use tomato_shared::cell::RegionId;
use tomato_shared::rejection::Rejection;
use tomato_shared::runtime::problem::Problem;

use crate::engine::command::Refusal;
use crate::store::pool::ReadError;
use crate::writer::Failure;

/// The domain says no.
pub fn from_refusal(refusal: Refusal) -> Problem {
    let rejection = refusal.rejection;
    let mut problem = of(rejection);
    if let Some(owner) = refusal.owner {
        problem = problem.region(owner.region.as_str(), Some(owner.public_url));
    }
    // Whatever is not found looks the same, whether it is missing or somebody else's.
    match refusal.detail.filter(|_| rejection != Rejection::NotFound) {
        Some(detail) => problem.detail(detail),
        None => problem,
    }
}

/// A rejection by its own status, code and title.
pub fn of(rejection: Rejection) -> Problem {
    let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::CONFLICT);
    let problem = Problem::new(status, rejection.code(), rejection.title());
    match rejection.status() {
        429 => problem.retry_after(jitter(5, 15)),
        503 if rejection == Rejection::CellMoving => problem.retry_after(jitter(1, 3)),
        503 => problem.retry_after(jitter(20, 40)),
        _ => problem,
    }
}

/// A command has no answer.
pub fn from_failure(failure: Failure) -> Problem {
    match failure {
        Failure::Refused(refusal) => from_refusal(refusal),
        Failure::Overloaded => overloaded(),
        Failure::Unavailable => Problem::unavailable(
            "unavailable",
            "whether it was done is not known; send it again with the same Idempotency-Key",
            jitter(1, 5),
        ),
        Failure::Broken => Problem::internal(),
        Failure::Fenced => Problem::unavailable(
            "region_fenced",
            "the region was restored from an old copy and takes no changes until its operator has decided; nothing was done",
            jitter(20, 40),
        ),
    }
}

/// A read brought nothing.
pub fn from_read(failure: ReadError) -> Problem {
    match failure {
        ReadError::Busy => overloaded(),
        ReadError::Store(cause) => internal("a read failed", &cause),
        ReadError::Broken => Problem::internal(),
    }
}

/// 404, the same for what is missing and for what is somebody else's.
pub fn not_found() -> Problem {
    of(Rejection::NotFound)
}

/// 403 for a known caller.
pub fn forbidden() -> Problem {
    of(Rejection::Forbidden)
}

/// 403 for a token of other regions.
pub fn wrong_region(region: &str) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "wrong_region",
        "The token is not valid in this region.",
    )
    .detail(format!("this is region {region}"))
}

/// 400 for a part of the path.
pub fn invalid_path(name: &str, message: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_path", "The path cannot be read.").field(name, message)
}

/// 400 for a header.
pub fn invalid_header(name: &str, message: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_header", "A header cannot be read.").field(name, message)
}

/// 400 for query parameters; add each with [`Problem::field`].
pub fn invalid_query() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", "The query cannot be read.")
}

/// 400 for a body; add each wrong part with [`Problem::at`].
pub fn invalid_body() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_body", "The body cannot be read.")
}

/// 400 for a body that broke off.
pub fn body_broken() -> Problem {
    invalid_body().detail("the body broke off")
}

/// 408 for a body that does not come.
pub fn body_timeout() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        "The request took too long to arrive.",
    )
}

/// 414.
pub fn uri_too_long(limit: usize) -> Problem {
    Problem::new(
        StatusCode::URI_TOO_LONG,
        "uri_too_long",
        "The path or query is too long.",
    )
    .detail(format!("the limit is {limit} bytes"))
}

/// 429 for one who has sent too much of late.
pub fn rate_limited(retry_after_s: u32) -> Problem {
    let title = "You have sent too many requests; wait, and try again.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", title).retry_after(retry_after_s.max(1))
}

/// 429 for one who has too many of something open.
pub fn too_many(code: &'static str, title: &'static str) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, title).retry_after(jitter(5, 15))
}

/// 503: too much waits; nothing was done.
pub fn overloaded() -> Problem {
    Problem::unavailable("overloaded", "nothing was done; try again later", jitter(1, 5))
}

/// 503: no answer in time.
pub fn timeout() -> Problem {
    Problem::unavailable(
        "timeout",
        "whether it was done is not known; send it again with the same Idempotency-Key",
        jitter(1, 5),
    )
}

/// 503: the region that would have to answer cannot be reached; nothing was done.
pub fn region_unreachable(region: &str, url: Option<String>) -> Problem {
    let detail =
        format!("region {region} cannot be reached from here and nothing was done; try again, or ask it itself");
    Problem::unavailable("region_unreachable", detail, jitter(2, 6)).region(region, url)
}

/// 503: the region that has to answer does not, and may have done it.
pub fn region_silent(region: &str, url: Option<String>, repeatable: bool) -> Problem {
    let detail = if repeatable {
        format!("region {region} did not answer in time; whether it was done is not known: send it again as it was")
    } else {
        format!(
            "region {region} did not answer in time; whether it was done is not known: look before sending it again"
        )
    };
    Problem::unavailable("region_silent", detail, jitter(1, 5)).region(region, url)
}

/// 503: it is not here, and these regions, which may have it, do not answer.
pub fn regions_silent(regions: &[RegionId]) -> Problem {
    let names: Vec<&str> = regions.iter().take(10).map(RegionId::as_str).collect();
    let detail = format!(
        "it is not here, and these did not say whether it is there: {}",
        names.join(", ")
    );
    let problem = Problem::unavailable("region_unreachable", detail, jitter(2, 6));
    match regions {
        [only] => problem.region(only.as_str(), None),
        _ => problem,
    }
}

/// 400: nobody knows such a region.
pub fn region_unknown(region: &str) -> Problem {
    invalid_header("tomato-region", &format!("no region {region} is known here"))
}

/// 421: only the region itself does that.
pub fn misdirected(region: &str, url: Option<String>) -> Problem {
    let title = "Only the region itself does this; send it there.";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", title).region(region, url)
}

/// 502: an answer that one region cannot hand to another.
pub fn too_long_for_others(region: &str, url: Option<String>) -> Problem {
    let title = "The answer of the other region cannot be handed on; ask that region itself.";
    Problem::new(StatusCode::BAD_GATEWAY, "answer_not_handed_on", title).region(region, url)
}

/// 500; the cause goes to the log.
pub fn internal(doing: &'static str, cause: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%cause, doing, "internal error");
    Problem::internal()
}

/// Spreads those who come back over a while, in seconds.
fn jitter(from: u32, to: u32) -> u32 {
    rand::rng().random_range(from..=to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_keeps_its_code_and_status() {
        for rejection in Rejection::ALL {
            let problem = from_refusal((*rejection).into());
            assert_eq!(
                (problem.code(), problem.status().as_u16()),
                (rejection.code(), rejection.status())
            );
            let waits = [429, 503].contains(&rejection.status());
            assert_eq!(problem.body().retry_after_s.is_some(), waits, "{rejection:?}");
        }
    }

    #[test]
    fn what_is_not_found_never_says_more() {
        let secret = Refusal::with(Rejection::NotFound, "it is Bob's");
        assert_eq!(from_refusal(secret), not_found());
        let sold_out = from_refusal(Refusal::with(Rejection::SoldOut, "dosa: 0 left"));
        assert_eq!(sold_out.body().detail.as_deref(), Some("dosa: 0 left"));
    }
}
