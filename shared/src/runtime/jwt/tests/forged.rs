//! Tokens as attackers write them. None is accepted, whoever signed it.

use super::*;

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Signs any text as Ed25519 with the key in a file.
fn signed(message: String, key: &std::path::Path) -> String {
    let key = EncodingKey::from_ed_der(&std::fs::read(key).unwrap());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

/// Claims of an operator with `change` laid over them.
fn payload(change: Value) -> Value {
    let mut payload = serde_json::to_value(Claims {
        role: Role::Operator,
        ..claims()
    })
    .unwrap();
    for (name, value) in change.as_object().unwrap() {
        payload[name] = value.clone();
    }
    payload
}

struct Forger {
    bench: Bench,
    /// A key that nobody trusts.
    own: std::path::PathBuf,
    tokens: Vec<(String, String)>,
}

impl Forger {
    fn add(&mut self, what: &str, token: String) {
        self.tokens.push((what.to_owned(), token));
    }

    fn trusted(&self) -> std::path::PathBuf {
        self.bench.dir.path().join("key.der")
    }

    /// A header, signed with the trusted key: the strongest signature that there is.
    fn header(&mut self, header: Value) {
        let message = format!("{}.{}", part(&header), part(&payload(json!({}))));
        let token = signed(message, &self.trusted());
        self.add(&header.to_string(), token);
    }

    /// A header, signed with the forger's own key.
    fn foreign(&mut self, header: Value) {
        let message = format!("{}.{}", part(&header), part(&payload(json!({}))));
        let token = signed(message, &self.own);
        self.add(&format!("own key: {header}"), token);
    }

    /// Claims that the trusted issuer would never write.
    fn claims(&mut self, text: String) {
        let message = format!("{}.{}", part(&self.bench.header()), URL_SAFE_NO_PAD.encode(&text));
        let token = signed(message, &self.trusted());
        self.add(&text, token);
    }

    fn algorithms(&mut self) {
        let kid = self.bench.key.kid().to_owned();
        for name in ["none", "None", "NONE", "nOnE", "none "] {
            let header = json!({ "alg": name, "kid": kid });
            self.header(header.clone());
            let unsigned = format!("{}.{}.", part(&header), part(&payload(json!({}))));
            self.add(name, unsigned);
        }
        let others = [
            "HS256", "HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "ES384", "ES256K", "eddsa", "",
        ];
        for name in others {
            self.header(json!({ "alg": name, "kid": kid }));
        }
        for alg in [json!(1), json!(null), json!(["EdDSA"]), json!({})] {
            self.header(json!({ "alg": alg, "kid": kid }));
        }
        let jwks = self.bench.key.jwks();
        let document: Value = serde_json::from_str(&jwks).unwrap();
        let x = document["keys"][0]["x"].as_str().unwrap();
        let raw = URL_SAFE_NO_PAD.decode(x).unwrap();
        for secret in [raw.as_slice(), x.as_bytes(), jwks.as_bytes(), b""] {
            for algorithm in [Algorithm::HS256, Algorithm::HS512] {
                let mut header = Header::new(algorithm);
                header.kid = Some(kid.clone());
                let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
                self.add("the public key as a secret", token);
            }
        }
    }

    fn keys(&mut self) {
        let kid = self.bench.key.kid().to_owned();
        let own = SigningKey::load_or_create(&self.own).unwrap();
        let jwk = serde_json::from_str::<Value>(&own.jwks()).unwrap()["keys"][0].clone();
        for kid in [
            json!("other"),
            json!(""),
            json!(null),
            json!(7),
            json!([kid]),
            json!("../../../../dev/null"),
            json!("' OR '1'='1"),
            json!("x\u{0}"),
            json!("http://127.0.0.1/key"),
            json!(format!("{kid} ")),
        ] {
            self.header(json!({ "alg": "EdDSA", "kid": kid }));
            self.foreign(json!({ "alg": "EdDSA", "kid": kid }));
        }
        for kid in [kid.as_str(), own.kid()] {
            self.foreign(json!({ "alg": "EdDSA", "kid": kid }));
            self.foreign(json!({ "alg": "EdDSA", "kid": kid, "jwk": jwk }));
            self.foreign(json!({ "alg": "EdDSA", "kid": kid, "jku": "http://127.0.0.1:1/jwks.json" }));
            self.foreign(json!({ "alg": "EdDSA", "kid": kid, "x5u": "http://127.0.0.1:1/cert.pem" }));
            self.foreign(json!({ "alg": "EdDSA", "kid": kid, "x5c": ["MIIB"] }));
        }
        self.header(json!({ "alg": "EdDSA", "kid": kid, "crit": ["b64"], "b64": false }));
        self.header(json!(["EdDSA", kid]));
    }

    fn contents(&mut self) {
        let later = NOW + 900;
        for change in [
            json!({ "exp": later.to_string() }),
            json!({ "exp": null }),
            json!({ "exp": true }),
            json!({ "exp": [later] }),
            json!({ "exp": NOW - 1_000 }),
            json!({ "exp": -1 }),
            json!({ "exp": 0 }),
            json!({ "exp": 1e300 }),
            json!({ "nbf": NOW.to_string() }),
            json!({ "nbf": NOW + 1_000 }),
            json!({ "nbf": {} }),
            json!({ "iat": NOW.to_string() }),
            json!({ "aud": "other" }),
            json!({ "aud": ["other"] }),
            json!({ "aud": [] }),
            json!({ "aud": {"tomato": 1} }),
            json!({ "aud": "Tomato" }),
            json!({ "aud": "tomato " }),
            json!({ "iss": "https://evil.example" }),
            json!({ "iss": [ISSUER] }),
            json!({ "iss": format!("{ISSUER}/") }),
            json!({ "iss": "" }),
            json!({ "iss": null }),
            json!({ "sub": "" }),
            json!({ "sub": null }),
            json!({ "sub": 7 }),
            json!({ "sub": ["usr_1"] }),
            json!({ "role": "admin" }),
            json!({ "role": ["operator"] }),
            json!({ "role": "Operator" }),
            json!({ "role": 0 }),
            json!({ "regions": "blr" }),
            json!({ "regions": {"blr": true} }),
        ] {
            self.claims(payload(change).to_string());
        }
        let good = payload(json!({})).to_string();
        self.claims(good.replacen('{', "{\"role\":\"customer\",", 1));
        self.claims(good.replacen('{', "{\"exp\":1,", 1));
        self.claims(format!("[{good}]"));
        self.claims(format!("{good}{good}"));
        self.claims("null".into());
    }

    fn shapes(&mut self) {
        let good = self.bench.key.mint(&claims()).unwrap();
        let (message, signature) = good.rsplit_once('.').unwrap();
        let (head, body) = message.split_once('.').unwrap();
        let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
        flipped[0] ^= 1;
        let other = part(&payload(json!({})));
        let forms = [
            message.to_owned(),
            format!("{message}."),
            format!("{message}..{signature}"),
            format!("{good}.{signature}"),
            format!("{good}.a.b"),
            format!(".{body}.{signature}"),
            format!("{head}..{signature}"),
            format!("{head}.{other}.{signature}"),
            format!(" {good}"),
            format!("{good}\n"),
            format!("{good}="),
            format!("{head}=.{body}.{signature}"),
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(flipped)),
            format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
            format!("{message}.{}", URL_SAFE_NO_PAD.encode([255; 64])),
            format!("{message}.{}", signature.repeat(2)),
            good.replace('.', ","),
            good.to_uppercase(),
            String::new(),
            "..".into(),
        ];
        for form in forms {
            self.add("shape", form);
        }
        // S + L instead of S: the same equation holds for it, so a careless check takes both.
        let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let mut carry = 0;
        for (at, byte) in bytes[32..].iter_mut().enumerate() {
            let add = u16::from_str_radix(order.get(2 * at..2 * at + 2).unwrap(), 16).unwrap();
            carry += u16::from(*byte) + add;
            *byte = (carry & 255) as u8;
            carry >>= 8;
        }
        self.add(
            "a second form of the signature",
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes)),
        );
    }
}

#[test]
fn no_forged_token_is_accepted() {
    let bench = bench();
    let own = bench.dir.path().join("forger.der");
    SigningKey::load_or_create(&own).unwrap();
    let mut forger = Forger {
        bench,
        own,
        tokens: Vec::new(),
    };
    // A token made the same way, with nothing forged, is good: the refusals below are not for how the test signs.
    let message = format!("{}.{}", part(&forger.bench.header()), part(&payload(json!({}))));
    let honest = signed(message, &forger.trusted());
    assert_eq!(forger.bench.verifier.verify(&honest, NOW).unwrap().role, Role::Operator);
    forger.algorithms();
    forger.keys();
    forger.contents();
    forger.shapes();
    let verifier = &forger.bench.verifier;
    let accepted: Vec<_> = forger
        .tokens
        .iter()
        .filter(|(_, token)| verifier.verify(token, NOW).is_ok())
        .collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
    assert!(forger.tokens.len() >= 120, "{}", forger.tokens.len());
}
