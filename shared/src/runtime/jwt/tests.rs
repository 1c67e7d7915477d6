use aws_lc_rs::encoding::AsDer as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;

mod forged;

const NOW: i64 = 1_790_000_000;
const ISSUER: &str = "https://hub.tomato.example";

fn claims() -> Claims {
    Claims {
        iss: ISSUER.into(),
        aud: "tomato".into(),
        sub: "usr_1".into(),
        role: Role::Customer,
        restaurant: None,
        regions: None,
        iat: NOW,
        nbf: NOW,
        exp: NOW + 900,
        jti: "t1".into(),
    }
}

struct Bench {
    dir: tempfile::TempDir,
    key: SigningKey,
    verifier: Verifier,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let key = SigningKey::load_or_create(&dir.path().join("key.der")).unwrap();
    let keys = key.jwk_set().unwrap();
    let verifier = Verifier::new(
        "tomato",
        vec![TrustedIssuer {
            issuer: ISSUER.into(),
            keys,
        }],
        1_000,
    );
    Bench { dir, key, verifier }
}

impl Bench {
    /// Verifies a token with exactly this header and payload, signed with our key.
    fn check(&self, header: &Value, payload: &Value) -> Result<Arc, TokenError> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(payload));
        let der = std::fs::read(self.dir.path().join("key.der")).unwrap();
        let key = EncodingKey::from_ed_der(&der);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
        self.verifier.verify(&format!("{message}.{signature}"), NOW)
    }

    fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "kid": self.key.kid() })
    }

    /// Our claims with `change` laid over them; null removes a claim.
    fn with(&self, change: Value) -> Result<Arc, TokenError> {
        let mut payload = serde_json::to_value(claims()).unwrap();
        for (name, value) in change.as_object().unwrap() {
            payload[name] = value.clone();
            if value.is_null() {
                payload.as_object_mut().unwrap().remove(name);
            }
        }
        self.check(&self.header(), &payload)
    }
}

type Arc = std::sync::Arc<Claims>;

#[test]
fn minted_token_verifies_and_is_remembered() {
    let bench = bench();
    let given = Claims {
        regions: Some(vec!["blr".into()]),
        restaurant: Some("rst_1".into()),
        ..claims()
    };
    let token = bench.key.mint(&given).unwrap();
    let first = bench.verifier.verify(&token, NOW).unwrap();
    assert_eq!(*first, given);
    assert!(
        std::sync::Arc::ptr_eq(&first, &bench.verifier.verify(&token, NOW + 899).unwrap()),
        "from the cache"
    );
    assert!(first.covers("blr") && !first.covers("ams") && claims().covers("ams"));
}

#[test]
fn times_are_checked_with_thirty_seconds_of_leeway() {
    let bench = bench();
    let token = bench.key.mint(&claims()).unwrap();
    let at = |now| bench.verifier.verify(&token, now).map(|_| ());
    assert_eq!(at(NOW - 31), Err(TokenError::NotYetValid));
    assert_eq!(at(NOW - 30), Ok(()));
    assert_eq!(at(NOW + 929), Ok(()), "in the leeway");
    assert_eq!(at(NOW + 930), Err(TokenError::Expired));
    assert_eq!(at(i64::MAX), Err(TokenError::Expired));
    assert_eq!(bench.with(json!({ "exp": i64::MAX })).map(|_| ()), Ok(()));
}

#[test]
fn claims_must_be_there_and_of_their_type() {
    let bench = bench();
    for change in [
        json!({ "exp": (NOW + 900).to_string() }),
        json!({ "exp": null }),
        json!({ "nbf": NOW.to_string() }),
        json!({ "iss": null }),
        json!({ "iss": [ISSUER] }),
        json!({ "aud": null }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "role": "admin" }),
        json!({ "role": null }),
        json!({ "regions": "all" }),
    ] {
        assert_eq!(bench.with(change.clone()), Err(TokenError::Malformed), "{change}");
    }
    assert_eq!(
        bench.with(json!({ "iss": "https://evil.example" })),
        Err(TokenError::Issuer)
    );
    assert_eq!(bench.with(json!({ "aud": "other" })), Err(TokenError::Audience));
    assert_eq!(bench.with(json!({ "aud": ["other"] })), Err(TokenError::Audience));
    let shared = bench
        .with(json!({ "aud": ["other", "tomato"], "nbf": null, "iat": null, "jti": null }))
        .unwrap();
    assert_eq!((shared.aud.as_str(), shared.nbf, shared.iat), ("tomato", 0, 0));
}

#[test]
fn header_cannot_choose_key_or_algorithm() {
    let bench = bench();
    let payload = serde_json::to_value(claims()).unwrap();
    let kid = bench.key.kid();
    let jwk = serde_json::from_str::<Value>(&bench.key.jwks()).unwrap()["keys"][0].clone();
    for (header, refusal) in [
        (json!({ "alg": "none", "kid": kid }), TokenError::Algorithm),
        (json!({ "alg": "None", "kid": kid }), TokenError::Algorithm),
        (json!({ "alg": "HS256", "kid": kid }), TokenError::Algorithm),
        (json!({ "alg": "RS256", "kid": kid }), TokenError::Algorithm),
        (json!({ "alg": "EdDSA" }), TokenError::Malformed),
        (json!({ "kid": kid }), TokenError::Malformed),
        (json!({ "alg": "EdDSA", "kid": "other" }), TokenError::UnknownKey),
        (
            json!({ "alg": "EdDSA", "kid": "other", "jwk": jwk, "jku": "http://127.0.0.1/" }),
            TokenError::UnknownKey,
        ),
        (
            json!({ "alg": "EdDSA", "kid": kid, "crit": ["b64"], "b64": false }),
            TokenError::Malformed,
        ),
    ] {
        assert_eq!(bench.check(&header, &payload), Err(refusal), "{header}");
    }
    let ignored = json!({ "alg": "EdDSA", "kid": kid, "jku": "http://127.0.0.1:1/evil", "x5u": "http://127.0.0.1:1/" });
    assert!(bench.check(&ignored, &payload).is_ok());
}

#[test]
fn public_key_as_shared_secret_is_refused() {
    let bench = bench();
    let jwks: Value = serde_json::from_str(&bench.key.jwks()).unwrap();
    let public = URL_SAFE_NO_PAD.decode(jwks["keys"][0]["x"].as_str().unwrap()).unwrap();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(bench.key.kid().into());
    let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
    assert_eq!(bench.verifier.verify(&token, NOW), Err(TokenError::Algorithm));
}

#[test]
fn damaged_tokens_are_refused() {
    let bench = bench();
    let token = bench.key.mint(&claims()).unwrap();
    for length in 0..token.len() {
        assert!(
            bench.verifier.verify(token.get(..length).unwrap(), NOW).is_err(),
            "cut to {length}"
        );
    }
    let other = bench
        .key
        .mint(&Claims {
            sub: "usr_2".into(),
            ..claims()
        })
        .unwrap();
    let (message, _) = token.rsplit_once('.').unwrap();
    let (_, foreign) = other.rsplit_once('.').unwrap();
    assert_eq!(
        bench.verifier.verify(&format!("{message}.{foreign}"), NOW),
        Err(TokenError::Signature)
    );
    assert_eq!(
        bench.verifier.verify(&format!("{message}."), NOW),
        Err(TokenError::Signature)
    );
    assert_eq!(
        bench.verifier.verify(&format!("{token}.{foreign}"), NOW),
        Err(TokenError::Malformed)
    );
    assert_eq!(
        bench.verifier.verify(&"a".repeat(MAX_TOKEN_BYTES + 1), NOW),
        Err(TokenError::TooLong)
    );
}

#[test]
fn es256_and_rs256_keys_work_and_only_with_their_own_algorithm() {
    let bench = bench();
    let rsa = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let rsa = rsa.as_der().unwrap();
    // jsonwebtoken wants PKCS#1, which starts after the 26 bytes of the PKCS#8 wrapper.
    let rsa = EncodingKey::from_rsa_der(rsa.as_ref().get(26..).unwrap());
    let curve = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let ec = aws_lc_rs::signature::EcdsaKeyPair::generate(curve).unwrap();
    let ec = EncodingKey::from_ec_der(ec.to_pkcs8v1().unwrap().as_ref());
    let mut document =
        json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "secret", "alg": "HS256" }, { "kty": "new" }] });
    for (kid, key, algorithm) in [("rsa", &rsa, Algorithm::RS256), ("ec", &ec, Algorithm::ES256)] {
        let mut jwk = serde_json::to_value(jsonwebtoken::jwk::Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(kid);
        jwk.as_object_mut().unwrap().remove("alg");
        document["keys"].as_array_mut().unwrap().push(jwk);
    }
    let keys = JwkSet::parse(&document.to_string()).unwrap();
    assert_eq!(keys.kids().collect::<Vec<_>>(), ["rsa", "ec"]);
    assert_eq!(keys.skipped().len(), 2);
    assert!(bench.verifier.replace_keys("https://idp.example", keys));
    let sign = |kid: &str, key: &EncodingKey, algorithm, iss: &str| {
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.into());
        let token = jsonwebtoken::encode(
            &header,
            &Claims {
                iss: iss.into(),
                ..claims()
            },
            key,
        )
        .unwrap();
        bench.verifier.verify(&token, NOW).map(|claims| claims.iss.clone())
    };
    let idp = "https://idp.example";
    assert_eq!(sign("rsa", &rsa, Algorithm::RS256, idp).as_deref(), Ok(idp));
    assert_eq!(sign("ec", &ec, Algorithm::ES256, idp).as_deref(), Ok(idp));
    assert_eq!(sign("rsa", &rsa, Algorithm::RS512, idp), Err(TokenError::Algorithm));
    assert_eq!(sign("rsa", &rsa, Algorithm::PS256, idp), Err(TokenError::Algorithm));
    assert_eq!(sign("ec", &rsa, Algorithm::RS256, idp), Err(TokenError::Algorithm));
    assert_eq!(
        sign("ec", &ec, Algorithm::ES256, ISSUER),
        Err(TokenError::Issuer),
        "one issuer cannot speak for another"
    );
}

#[tokio::test]
async fn replaced_keys_end_remembered_tokens_and_misses_are_announced() {
    let bench = bench();
    let token = bench.key.mint(&claims()).unwrap();
    assert!(bench.verifier.verify(&token, NOW).is_ok());
    assert!(
        !bench.verifier.replace_keys(ISSUER, bench.key.jwk_set().unwrap()),
        "the same keys change nothing"
    );
    let next = SigningKey::load_or_create(&bench.dir.path().join("next.der")).unwrap();
    assert!(bench.verifier.replace_keys(ISSUER, next.jwk_set().unwrap()));
    assert_eq!(bench.verifier.verify(&token, NOW), Err(TokenError::UnknownKey));
    bench.verifier.key_missed().await;
    assert!(bench.verifier.verify(&next.mint(&claims()).unwrap(), NOW).is_ok());
}

#[test]
fn keys_for_development_are_marked_and_work() {
    let bench = bench();
    let issuer = |name: &str, document: String| {
        let jwks_file = bench.dir.path().join(name);
        std::fs::write(&jwks_file, document).unwrap();
        IssuerConfig {
            issuer: ISSUER.into(),
            jwks_file,
        }
    };
    let marked = issuer("marked.json", bench.key.development_jwks());
    assert!(is_development(&marked));
    assert!(!is_development(&issuer("plain.json", bench.key.jwks())));
    let auth = AuthConfig {
        issuers: vec![marked],
        ..AuthConfig::default()
    };
    let token = bench.key.mint(&claims()).unwrap();
    assert!(verifier(&auth).unwrap().verify(&token, NOW).is_ok());
}
