//! One issuer for everybody: its key, its JWKS file, and tokens for each role.

use std::path::{Path, PathBuf};

use tomato_shared::id::{DriverId, RestaurantId, UserId};
use tomato_shared::runtime::jwt::{Claims, Role, SigningKey};

use crate::city::clock::real_now;

/// Who signs.
pub const ISSUER: &str = "https://id.tomato.test";
/// Whom tokens are for.
pub const AUDIENCE: &str = "tomato";
/// Tokens last longer than any run, also one in which the clock runs fast.
const LIFE_S: i64 = 30 * 24 * 3_600;

/// Signs tokens.
#[derive(Debug)]
pub struct Issuer {
    key: SigningKey,
    key_file: PathBuf,
    jwks_file: PathBuf,
}

impl Issuer {
    /// Reads or makes the key in `folder`, and writes its public half beside it.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let (key_file, jwks_file) = (folder.join("issuer.key"), folder.join("jwks.json"));
        let key = SigningKey::load_or_create(&key_file).map_err(|error| error.to_string())?;
        std::fs::write(&jwks_file, key.jwks()).map_err(|error| format!("{}: {error}", jwks_file.display()))?;
        Ok(Self {
            key,
            key_file,
            jwks_file,
        })
    }

    /// The private key.
    pub fn key_file(&self) -> &Path {
        &self.key_file
    }

    /// The public key, for `[auth] jwks_files`.
    pub fn jwks_file(&self) -> &Path {
        &self.jwks_file
    }

    /// Signs anything: for tests of what is refused.
    pub fn sign(&self, claims: &Claims) -> String {
        self.key.mint(claims).expect("a loaded key signs")
    }

    /// The claims of a good token, to be changed and signed.
    pub fn claims(role: Role, subject: String, restaurant: Option<RestaurantId>) -> Claims {
        let now_s = real_now().0 / 1_000;
        Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: subject,
            role,
            restaurant: restaurant.map(|id| id.to_string()),
            regions: None,
            iat: now_s - 1,
            nbf: now_s - 1,
            exp: now_s + LIFE_S,
            jti: crate::client::new_key(),
        }
    }

    /// A customer's token.
    pub fn customer(&self, id: UserId) -> String {
        self.sign(&Self::claims(Role::Customer, id.to_string(), None))
    }

    /// A token of somebody who works at a restaurant.
    pub fn restaurant(&self, staff: UserId, id: RestaurantId) -> String {
        self.sign(&Self::claims(Role::Restaurant, staff.to_string(), Some(id)))
    }

    /// A driver's token.
    pub fn driver(&self, id: DriverId) -> String {
        self.sign(&Self::claims(Role::Driver, id.to_string(), None))
    }

    /// An operator's token.
    pub fn operator(&self) -> String {
        self.sign(&Self::claims(
            Role::Operator,
            UserId::from_bytes([7; 16]).to_string(),
            None,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_keeps_its_key_and_names_the_bearer() {
        let folder = tempfile::tempdir().unwrap();
        let first = std::fs::read(Issuer::open(folder.path()).unwrap().jwks_file()).unwrap();
        let again = Issuer::open(folder.path()).unwrap();
        assert_eq!(std::fs::read(again.jwks_file()).unwrap(), first);
        let claims = Issuer::claims(Role::Driver, DriverId::from_bytes([1; 16]).to_string(), None);
        assert_eq!(again.sign(&claims).split('.').count(), 3);
        assert!(claims.exp > claims.iat && claims.covers("blr"));
    }
}
