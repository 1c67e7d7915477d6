//! Firebase, Apple and partners in one fake that fails in every way: it keeps what it was sent, and answers as it was told to.
//!
//! Receivers are named by their device token, or by the path of their webhook. Apple's side speaks HTTP/2 over TLS only, like
//! the real one.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rcgen::{CertifiedKey, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::settings::RegionFile;

/// How long a node that is configured by [`Post::settings`] waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);
const ACCOUNT: &str = "pusher@tomato.iam.example";
const KEY_ID: &str = "ABC123DEFG";
const TEAM_ID: &str = "DEF123GHIJ";

/// What a receiver answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It takes the message.
    Well,
    /// This status, body and `Retry-After`.
    Status(u16, Value, Option<u64>),
    /// Nothing, for longer than anybody waits.
    Silent,
    /// Nothing: the connection is cut.
    Cut,
}

impl Reply {
    /// A status and nothing more.
    pub const fn status(status: u16) -> Self {
        Self::Status(status, Value::Null, None)
    }
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Got {
    pub at: Instant,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub answered: Reply,
}

impl Got {
    /// A header's text; empty where there is none.
    pub fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Default)]
struct State {
    planned: HashMap<String, VecDeque<Reply>>,
    always: HashMap<String, Reply>,
    got: HashMap<String, Vec<Got>>,
    tokens: usize,
}

struct Keys {
    rsa: KeyPair,
    ec: KeyPair,
    tls: CertifiedKey<KeyPair>,
}

/// A running fake. Ends with the test's runtime.
#[derive(Clone)]
pub struct Post {
    state: Arc<Mutex<State>>,
    keys: Arc<Keys>,
    plain: SocketAddr,
    tls: SocketAddr,
}

/// A connection that is cut in the middle of an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

impl Post {
    /// Starts one on free ports of this machine.
    pub async fn start() -> Self {
        let keys = Keys {
            rsa: KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key"),
            ec: KeyPair::generate().expect("a key"),
            tls: rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate"),
        };
        let plain = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let secure = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let post = Self {
            state: Arc::default(),
            plain: plain.local_addr().expect("bound"),
            tls: secure.local_addr().expect("bound"),
            keys: Arc::new(keys),
        };
        tokio::spawn(post.clone().serve_plain(plain));
        tokio::spawn(post.clone().serve_tls(secure));
        post
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A webhook's address.
    pub fn hook(&self, name: &str) -> String {
        format!("http://{}/hook/{name}", self.plain)
    }

    /// What a receiver answers next, once each.
    pub fn plan(&self, receiver: &str, replies: impl IntoIterator<Item = Reply>) {
        self.state()
            .planned
            .entry(receiver.to_owned())
            .or_default()
            .extend(replies);
    }

    /// What it answers where nothing is planned; at first [`Reply::Well`].
    pub fn always(&self, receiver: &str, reply: Reply) {
        self.state().always.insert(receiver.to_owned(), reply);
    }

    /// Everything that a receiver was sent, in order.
    pub fn got(&self, receiver: &str) -> Vec<Got> {
        self.state().got.get(receiver).cloned().unwrap_or_default()
    }

    /// How often an access token was asked for.
    pub fn tokens(&self) -> usize {
        self.state().tokens
    }

    /// A region's file with this in it; keys are written into `folder`.
    pub fn settings(&self, file: RegionFile, folder: &Path) -> RegionFile {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("a directory to write to");
            path.display().to_string()
        };
        let account = json!({
            "type": "service_account", "project_id": "tomato", "client_email": ACCOUNT,
            "private_key": self.keys.rsa.serialize_pem(), "token_uri": format!("http://{}/token", self.plain),
        });
        let patience_ms = i64::try_from(PATIENCE.as_millis()).expect("short");
        file.set("push.timeout_ms", patience_ms)
            .set("push.retry_first_ms", 100)
            .set("push.breaker_failures", 1_000)
            .set(
                "push.fcm.service_account_file",
                write("firebase.json", account.to_string()),
            )
            .set("push.fcm.base_url", format!("http://{}", self.plain))
            .set("push.apns.key_file", write("apns.p8", self.keys.ec.serialize_pem()))
            .set("push.apns.key_id", KEY_ID)
            .set("push.apns.team_id", TEAM_ID)
            .set("push.apns.topics.customer", "example.tomato")
            .set("push.apns.topics.restaurant", "example.kitchen")
            .set("push.apns.topics.driver", "example.driver")
            .set("push.apns.base_url", format!("https://localhost:{}", self.tls.port()))
            .set("push.apns.ca_file", write("apns-ca.pem", self.keys.tls.cert.pem()))
    }

    async fn serve_plain(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let post = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| post.clone().answer(request));
                let builder = hyper::server::conn::http1::Builder::new();
                builder.serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    }

    async fn serve_tls(self, listener: TcpListener) {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = rustls::pki_types::PrivateKeyDer::try_from(self.keys.tls.signing_key.serialize_der()).expect("a key");
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_no_client_auth()
            .with_single_cert(vec![self.keys.tls.cert.der().clone()], key)
            .expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().serve_h2(acceptor.clone(), stream));
        }
    }

    async fn serve_h2(self, acceptor: TlsAcceptor, stream: TcpStream) {
        let Ok(stream) = acceptor.accept(stream).await else {
            return;
        };
        let service = service_fn(move |request| self.clone().answer(request));
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(stream), service).await.ok();
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let path = parts.uri.path().to_owned();
        let receiver = if path == "/token" {
            return Ok(self.grant(&body));
        } else if path == "/v1/projects/tomato/messages:send" {
            if parts
                .headers
                .get("authorization")
                .is_none_or(|value| value != "Bearer granted")
            {
                return Ok(plain(
                    StatusCode::UNAUTHORIZED,
                    &json!({"error": {"status": "UNAUTHENTICATED"}}),
                ));
            }
            let message: Value = serde_json::from_slice(&body).unwrap_or_default();
            message["message"]["token"].as_str().unwrap_or_default().to_owned()
        } else if let Some(token) = path.strip_prefix("/3/device/") {
            if parts.version != http::Version::HTTP_2 || !self.knows(&parts.headers) {
                return Ok(plain(StatusCode::FORBIDDEN, &json!({"reason": "InvalidProviderToken"})));
            }
            token.to_owned()
        } else {
            path.trim_start_matches("/hook/").to_owned()
        };
        let reply = self.take(&receiver, (parts.headers, body));
        match reply {
            Reply::Well => Ok(plain(StatusCode::OK, &json!({}))),
            Reply::Cut => Err(Cut),
            Reply::Silent => {
                tokio::time::sleep(PATIENCE * 4).await;
                Err(Cut)
            }
            Reply::Status(status, body, after) => {
                let mut response = plain(StatusCode::from_u16(status).expect("a status"), &body);
                if let Some(after) = after {
                    response.headers_mut().insert("retry-after", after.into());
                }
                Ok(response)
            }
        }
    }

    fn take(&self, receiver: &str, (headers, body): (HeaderMap, Bytes)) -> Reply {
        let mut state = self.state();
        let planned = state.planned.get_mut(receiver).and_then(VecDeque::pop_front);
        let reply = planned
            .or_else(|| state.always.get(receiver).cloned())
            .unwrap_or(Reply::Well);
        state.got.entry(receiver.to_owned()).or_default().push(Got {
            at: Instant::now(),
            headers,
            body,
            answered: reply.clone(),
        });
        reply
    }

    /// An access token for a claim that the service account signed.
    fn grant(&self, body: &Bytes) -> Response<Full<Bytes>> {
        self.state().tokens += 1;
        let text = String::from_utf8_lossy(body).into_owned();
        let assertion = text
            .split('&')
            .find_map(|pair| pair.strip_prefix("assertion="))
            .unwrap_or_default();
        let mut wanted = Validation::new(Algorithm::RS256);
        wanted.set_audience(&[format!("http://{}/token", self.plain)]);
        wanted.set_issuer(&[ACCOUNT]);
        // PKCS#1, which the other form holds behind 24 bytes of wrapping.
        let der = self.keys.rsa.public_key_raw();
        let key = DecodingKey::from_rsa_der(der);
        match jsonwebtoken::decode::<Value>(assertion, &key, &wanted) {
            Ok(_) => plain(
                StatusCode::OK,
                &json!({"access_token": "granted", "expires_in": 3600, "token_type": "Bearer"}),
            ),
            Err(error) => plain(StatusCode::BAD_REQUEST, &json!({"error": error.to_string()})),
        }
    }

    /// Whether a provider token is the team's.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let token = headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = token.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        let mut wanted = Validation::new(Algorithm::ES256);
        wanted.required_spec_claims.clear();
        wanted.set_issuer(&[TEAM_ID]);
        wanted.validate_exp = false;
        let key = DecodingKey::from_ec_der(self.keys.ec.public_key_raw());
        let kid = jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid);
        kid.as_deref() == Some(KEY_ID) && jsonwebtoken::decode::<Value>(token, &key, &wanted).is_ok()
    }
}

fn plain(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
