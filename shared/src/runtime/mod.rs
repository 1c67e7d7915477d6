//! What both programs start with: configuration, the supervised message broker, HTTP serving, tokens, logs and shutdown.
//!
//! This is the only part of `shared` that does I/O. It knows nothing about orders, money or events; clocks and
//! environment variables are passed in by `main`.

pub mod config;
pub mod jwt;
pub mod nats;
pub mod otlp;
pub mod problem;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
