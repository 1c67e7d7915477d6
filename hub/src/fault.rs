//! Errors on one line.

use std::error::Error;
use std::fmt;

/// An error followed by its causes: `the database cannot be used: cannot open data/hub.db: ...`.
#[derive(Debug)]
pub struct Chain<E>(pub E);

impl<E: Error> fmt::Display for Chain<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut next = self.0.source();
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            // Some errors tell their cause themselves.
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            next = cause.source();
        }
        f.write_str(&text)
    }
}
