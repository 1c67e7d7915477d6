//! What a node is for, and what must not be left over from development when it serves people.

use serde::Deserialize;
use tomato_shared::runtime::jwt;

use super::{Config, Faults, ProviderKind};

/// The issuer of the tokens that `tomato-node token` mints where it is not told another.
pub const DEVELOPMENT_ISSUER: &str = "tomato-dev";

/// What a node is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Trying things out: anything goes.
    #[default]
    Development,
    /// Real orders and real money.
    Production,
}

impl Config {
    /// Names everything that is for development only, where the profile is another.
    pub(super) fn check_profile(&self, faults: &mut Faults) {
        if self.profile == Profile::Development {
            return;
        }
        for (index, issuer) in self.auth.issuers.iter().enumerate() {
            faults.require(
                issuer.issuer != DEVELOPMENT_ISSUER,
                &format!("auth.issuers.{index}.issuer"),
                "is the issuer of development tokens",
                "trust the issuer that signs people in",
            );
            faults.require(
                !jwt::is_development(issuer),
                &format!("auth.issuers.{index}.jwks_file"),
                "holds keys of `tomato-node jwks`, with which anybody who has the file mints tokens",
                "fetch the public keys of the issuer",
            );
        }
        let simulated = match self.payments.provider {
            ProviderKind::Simulated => true,
            ProviderKind::Stripe | ProviderKind::Razorpay => false,
        };
        faults.require(
            !simulated,
            "payments.provider",
            "is simulated: nobody would pay",
            "name a provider that moves money",
        );
        faults.require(
            (self.clock.rate - 1.0).abs() < f64::EPSILON,
            "clock.rate",
            format_args!("is {}: time would not pass as it does for people", self.clock.rate),
            "take it out, or set it to 1",
        );
    }
}

#[cfg(test)]
mod tests {
    use tomato_shared::runtime::config::load;

    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let (file, keys) = (folder.path().join("node.toml"), folder.path().join("keys.json"));
        std::fs::write(&keys, r#"{"keys": [{"kty": "OKP", "tomato_development": true}]}"#).unwrap();
        let shown = keys.display();
        let text = format!(
            "{text}\ndata_dir = \"x\"\n[region]\nid = \"blr\"\ncurrency = \"INR\"\ntime_zone = \"Asia/Kolkata\"\n\
             centre = {{ lat = 1.0, lng = 2.0 }}\npublic_url = \"http://x\"\n[clock]\nrate = 2.0\n\
             epoch = \"2026-01-01T00:00:00Z\"\n[[auth.issuers]]\nissuer = \"tomato-dev\"\njwks_file = \"{shown}\"\n"
        );
        std::fs::write(&file, text).unwrap();
        match load::<Config>(Some(&file), std::iter::empty(), "TOMATO") {
            Ok(_) => Vec::new(),
            Err(found) => found.faults().iter().map(|fault| fault.path.clone()).collect(),
        }
    }

    #[test]
    fn production_refuses_what_is_for_development() {
        assert_eq!(faults(""), Vec::<String>::new());
        let want = [
            "auth.issuers.0.issuer",
            "auth.issuers.0.jwks_file",
            "clock.rate",
            "payments.provider",
        ];
        assert_eq!(faults("profile = \"production\""), want);
        assert_eq!(faults("profile = \"test\""), ["profile"]);
    }
}
