//! Finds a nats-server that is new enough.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::BrokerError;

/// Earlier servers lack what the hub's sources rely on; Debian's is 2.9 or 2.10.
const OLDEST: (u32, u32, u32) = (2, 15, 0);

/// Where `scripts/install-nats` puts it.
const TOOLS: &str = ".tools/bin/nats-server";

/// The binary to run: `configured` if it will do, else, for a bare name, the one in `.tools`.
pub(super) fn find(configured: &Path) -> Result<PathBuf, BrokerError> {
    let bare = configured.components().count() == 1;
    let mut candidates = vec![configured.to_owned()];
    if bare {
        candidates.push(TOOLS.into());
    }
    let mut tried = Vec::new();
    for candidate in candidates {
        // A relative path must go on meaning the same file wherever the child runs.
        let path = if candidate.components().count() == 1 {
            candidate
        } else {
            std::path::absolute(&candidate).unwrap_or(candidate)
        };
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(reason) => tried.push(format!("{} ({reason})", path.display())),
        }
    }
    Err(BrokerError::NoBinary { tried })
}

fn check(path: &Path) -> Result<(), String> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match version(&text) {
        Some(found) if found >= OLDEST => Ok(()),
        Some((major, minor, patch)) => {
            let (oldest_major, oldest_minor, oldest_patch) = OLDEST;
            Err(format!(
                "version {major}.{minor}.{patch}, need {oldest_major}.{oldest_minor}.{oldest_patch} or later"
            ))
        }
        None => Err("does not say its version".into()),
    }
}

/// Reads `nats-server: v2.15.1`; a pre-release counts as its release.
fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text
        .trim()
        .strip_prefix("nats-server: v")?
        .split(['.', '-'])
        .map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Whether `setpriv --pdeathsig` works here; without it a `kill -9` of this program leaves its server to the next start.
pub(super) fn has_setpriv() -> bool {
    let mut probe = Command::new("setpriv");
    probe
        .args(["--pdeathsig", "TERM", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("nats-server: v2.15.1\n"), Some((2, 15, 1)));
        assert_eq!(version("nats-server: v2.16.0-preview.1\n"), Some((2, 16, 0)));
        assert_eq!(version("hello"), None);
    }

    #[test]
    fn a_missing_or_wrong_binary_says_what_to_install() {
        for path in ["/nowhere/nats-server", "/bin/true"] {
            let text = find(Path::new(path)).unwrap_err().to_string();
            assert!(text.contains(path) && text.contains("./scripts/install-nats"), "{text}");
        }
    }
}
