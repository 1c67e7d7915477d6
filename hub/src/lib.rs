//! placeholder
mod clock;
mod ingest;
#[cfg(test)]
#[path = "../tests/support/life.rs"]
mod life;
mod projections;
mod store;
