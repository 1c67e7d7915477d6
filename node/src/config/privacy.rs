//! What of people may leave the region, and in which form.

use std::path::PathBuf;

use serde::Deserialize;
use tomato_shared::phone::PhoneKey;

use super::{Secret, SecretError};

/// `[privacy]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacyConfig {
    /// File with the fleet's key for hashes of telephone numbers, as `tomato-hub region add` writes it. Central ops find the
    /// orders of somebody who calls by such a hash. Default empty: nothing of a number leaves the region.
    pub phone_key_file: PathBuf,
}

impl PrivacyConfig {
    /// The key, where there is one.
    ///
    /// # Errors
    /// [`SecretError`] where a file is named that has none.
    pub fn phone_key(&self) -> Result<Option<PhoneKey>, SecretError> {
        if self.phone_key_file.as_os_str().is_empty() {
            return Ok(None);
        }
        let secrets = Secret::default().or_file(&self.phone_key_file)?;
        let key = secrets
            .first()
            .and_then(|secret| PhoneKey::from_hex(secret.reveal()))
            .ok_or_else(|| SecretError {
                path: self.phone_key_file.clone(),
                reason: "it is not 64 hexadecimal digits".into(),
            })?;
        Ok(Some(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_read_from_its_file_or_the_start_says_why_not() {
        let dir = tempfile::tempdir().unwrap();
        let config = PrivacyConfig {
            phone_key_file: dir.path().join("phone.key"),
        };
        let key = PhoneKey::from_bytes([9; 32]);
        let missing = config.phone_key().unwrap_err().to_string();
        assert!(
            missing.contains("phone.key") && missing.contains("cannot be read"),
            "{missing}"
        );
        std::fs::write(&config.phone_key_file, "secret\n").unwrap();
        let wrong = config.phone_key().unwrap_err().to_string();
        assert!(
            wrong.contains("64 hexadecimal digits") && !wrong.contains("secret\n"),
            "{wrong}"
        );
        std::fs::write(&config.phone_key_file, format!("{}\n", key.to_hex())).unwrap();
        assert_eq!(config.phone_key().unwrap(), Some(key));
        assert_eq!(PrivacyConfig::default().phone_key().unwrap(), None);
    }
}
