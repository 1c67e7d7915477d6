//! Replays instances of the Meal Delivery Routing Problem (grubhub/mdrplib; Reyes et al. 2018) through the dispatcher
//! that the live node uses: the same module, other orders.
//!
//! | module | does |
//! |---|---|
//! | [`command`] | `tomato-node dispatch-replay` |
//! | [`instance`] | reads the four files |
//! | [`run`] [`simulate`] | what the dispatcher may know; minute by minute by the rules |
//! | [`outcome`] | what came of it: trips and their stops |
//! | [`check`] | re-derives every time and place of a solution, strictly |
//! | [`ablation`] | what each idea brings: replays with one left out at a time |
//! | `synth` | made-up instances of the same shape, that nothing was tuned to |
//! | [`summary`] [`output`] | measures and tables; solution files and summary.json |

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "minutes, pay and service times are bounded as they are read, indices count rows of a file"
)]

pub mod ablation;
pub mod check;
pub mod command;
pub mod instance;
pub mod outcome;
pub mod output;
pub mod run;
pub mod simulate;
pub mod summary;
mod synth;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

/// Why a replay could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file or directory that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file that holds something else than it should.
    #[error("{}:{line}: {what}", path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A directory without an instance in it.
    #[error("{}: no directory below it holds an orders.txt", path.display())]
    NoInstance {
        /// Which one.
        path: PathBuf,
    },
    /// The dispatcher broke rules; each has been told.
    #[error("{count} broken rules: the solution does not count")]
    BrokenRules {
        /// How many.
        count: usize,
    },
}
