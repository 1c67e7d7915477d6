//! Errors on one line.

use std::error::Error;
use std::fmt;

/// An error followed by its causes: `the database cannot be used: cannot open data/hub.db: ...`.
#[derive(Debug)]
pub struct Chain<E>(pub E);

impl<E: Error> fmt::Display for Chain<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}
