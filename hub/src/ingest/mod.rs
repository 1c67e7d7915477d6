//! placeholder
mod apply;
