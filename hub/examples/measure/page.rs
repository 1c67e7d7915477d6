//! The hub's page in a real browser, against the real hub on the file that was just filled.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use tomato_hub::Hub;
use tomato_hub::config::HubConfig;
use tomato_hub::measure::PHONE_KEY;
use tomato_shared::runtime::jwt::{Claims, Role, SigningKey};

/// Starts the hub on `hub.db` of a directory and has the browser tell how long things take; it prints its figures.
///
/// # Errors
/// Where the hub does not start, or the browser is missing or found something wrong.
pub(crate) fn look(directory: &Path) -> Result<(), Box<dyn Error>> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let key = SigningKey::load_or_create(&directory.join("key.pem"))?;
    std::fs::write(directory.join("jwks.json"), key.jwks())?;
    // The numbers of those who ordered were hashed with this one.
    std::fs::write(directory.join("phone.key"), PHONE_KEY.to_hex())?;
    let path = |name: &Path| format!("{:?}", name.display().to_string());
    let text = format!(
        "data_dir = {data}\n[http]\nlisten = \"127.0.0.1:0\"\n[[auth.issuers]]\nissuer = \"tomato\"\njwks_file = {jwks}\n\
         [page]\ndir = {page}\n[broker.server]\nbinary = {binary}\nport = {port}\nmax_file_store_bytes = 268435456\n\
         [broker.leaf]\nhost = \"127.0.0.1\"\nport = {leaf}\n",
        data = path(directory),
        jwks = path(&directory.join("jwks.json")),
        page = path(&tree.join("hub/web")),
        binary = path(&tree.join(".tools/bin/nats-server")),
        port = free_port()?,
        leaf = free_port()?,
    );
    let file = directory.join("hub.toml");
    std::fs::write(&file, text)?;
    let config = HubConfig::load(&file, std::iter::empty())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let hub = runtime.block_on(Hub::start(config))?;
    let status = Command::new("node")
        .arg("busy.mjs")
        .current_dir(tree.join("hub/tests/browser"))
        .env("HUB_URL", format!("http://{}", hub.http_addr()))
        .env("HUB_TOKEN", token(&key)?)
        .env("CHROMIUM", chromium()?)
        .status();
    runtime.block_on(hub.shutdown());
    if status?.success() {
        Ok(())
    } else {
        Err("the page is not right: see above".into())
    }
}

fn token(key: &SigningKey) -> Result<String, Box<dyn Error>> {
    let claims = Claims {
        iss: "tomato".into(),
        aud: "tomato".into(),
        sub: "usr_bench".into(),
        role: Role::Operator,
        restaurant: None,
        regions: None,
        iat: 0,
        nbf: 0,
        exp: i64::MAX,
        jti: String::new(),
    };
    Ok(key.mint(&claims)?)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn chromium() -> Result<PathBuf, &'static str> {
    let asked = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let found = asked.or_else(|| usual.iter().map(PathBuf::from).find(|path| path.exists()));
    found.ok_or("no chromium; run ./scripts/install-browser-test, or name one in CHROMIUM")
}
