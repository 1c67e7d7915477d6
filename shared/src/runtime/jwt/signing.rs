//! The issuer's private key: one Ed25519 key in a file that only its owner can read.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sha2::{Digest as _, Sha256};

use super::{Claims, JwkSet, JwkSetError};

/// Why there is no signing key, or no token.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The file cannot be read, written or protected.
    #[error("signing key {path}: {source}")]
    Io {
        /// The key file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("signing key {path}: not an Ed25519 key in PKCS#8 DER; move it away to have a new one made")]
    Content {
        /// The key file.
        path: PathBuf,
    },
    /// Others than the owner may read the file.
    #[error("signing key {path}: mode {mode:o} lets others read it; run chmod 600 on it")]
    Mode {
        /// The key file.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
    },
    /// The random source failed.
    #[error("no key could be generated")]
    Generate,
    /// The token could not be made.
    #[error("no token could be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// Member of a JWK that marks it as a key for development; RFC 7517 lets others ignore it.
pub(super) const DEVELOPMENT: &str = "tomato_development";

/// An Ed25519 key with which tokens are minted.
pub struct SigningKey {
    encoding: EncodingKey,
    public: Vec<u8>,
    kid: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads the PKCS#8 key at `path`; makes one with mode 0600 when there is no such file.
    ///
    /// # Errors
    /// [`SigningError`]; an existing file is never overwritten.
    pub fn load_or_create(path: &Path) -> Result<Self, SigningError> {
        let io = |source| SigningError::Io {
            path: path.to_owned(),
            source,
        };
        match std::fs::metadata(path) {
            Ok(meta) => {
                let mode = meta.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(SigningError::Mode {
                        path: path.to_owned(),
                        mode,
                    });
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let pkcs8 = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8());
                let pkcs8 = pkcs8.map_err(|_| SigningError::Generate)?;
                // Written beside and linked into place: two starting programs agree on one key, and a crash between
                // leaves no half of one.
                let draft = path.with_extension(format!("new.{}", std::process::id()));
                write_private(&draft, pkcs8.as_ref()).map_err(io)?;
                let linked = std::fs::hard_link(&draft, path);
                std::fs::remove_file(&draft).map_err(io)?;
                match linked {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(error)),
                    Ok(()) | Err(_) => {}
                }
            }
            Err(error) => return Err(io(error)),
        }
        let der = std::fs::read(path).map_err(io)?;
        Self::from_pkcs8(&der).ok_or_else(|| SigningError::Content { path: path.to_owned() })
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let public = Ed25519KeyPair::from_pkcs8(der).ok()?.public_key().as_ref().to_vec();
        let x = URL_SAFE_NO_PAD.encode(&public);
        // RFC 7638: the hash of the required members in lexical order.
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        Some(Self {
            encoding: EncodingKey::from_ed_der(der),
            public,
            kid: URL_SAFE_NO_PAD.encode(thumbprint),
        })
    }

    /// Id of the key: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs `claims` as they are; the caller chose issuer, audience and times.
    ///
    /// # Errors
    /// [`SigningError::Sign`], which does not happen with a key that loaded.
    pub fn mint(&self, claims: &Claims) -> Result<String, SigningError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding).map_err(SigningError::Sign)
    }

    /// The public key as a JWKS document, to be served at `/.well-known/jwks.json`.
    pub fn jwks(&self) -> String {
        serde_json::json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": self.kid, "x": URL_SAFE_NO_PAD.encode(&self.public),
        }] })
        .to_string()
    }

    /// The same for a key that lies on a developer's disk: marked, so that production refuses it.
    pub fn development_jwks(&self) -> String {
        let mut document: serde_json::Value = serde_json::from_str(&self.jwks()).unwrap_or_default();
        document["keys"][0][DEVELOPMENT] = true.into();
        document.to_string()
    }

    /// The public key ready for a [`super::Verifier`] in the same process.
    ///
    /// # Errors
    /// None for a key that loaded; the type is that of every other document.
    pub fn jwk_set(&self) -> Result<JwkSet, JwkSetError> {
        JwkSet::parse(&self.jwks())
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_file_is_private_and_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.der");
        let made = SigningKey::load_or_create(&path).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SigningKey::load_or_create(&path).unwrap().kid(), made.kid());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
        mode(0o644);
        assert!(matches!(
            SigningKey::load_or_create(&path),
            Err(SigningError::Mode { mode: 0o644, .. })
        ));
        mode(0o600);
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(
            SigningKey::load_or_create(&path),
            Err(SigningError::Content { .. })
        ));
        assert!(matches!(
            SigningKey::load_or_create(Path::new("/nowhere/key")),
            Err(SigningError::Io { .. })
        ));
    }
}
