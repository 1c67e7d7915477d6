//! The text of a nats-server configuration. Field guide: nats.md, sections 0 and 1.

use std::net::IpAddr;
use std::path::Path;

use super::files::{Files, Passwords};
use super::options::{HubBroker, LeafLink, LeafPort, LeafUser, LocalServer, leaf_scheme};
use super::permissions::leaf_permissions;

/// User name of this program in account APP.
pub(super) const APP_USER: &str = "tomato";

/// The hub's server name and JetStream domain.
pub(super) const HUB: &str = "hub";

/// What both kinds of server are made from.
pub(super) struct Basis<'a> {
    /// Unique in the whole platform; also the JetStream domain, which never changes.
    pub(super) name: &'a str,
    pub(super) server: &'a LocalServer,
    pub(super) files: &'a Files,
    pub(super) passwords: &'a Passwords,
    pub(super) max_file_store_bytes: u64,
}

/// A region's configuration.
pub(super) fn region(basis: &Basis<'_>, leaf: Option<&LeafLink>) -> String {
    let mut text = head(basis, 128);
    if let Some(leaf) = leaf {
        let urls: Vec<String> = leaf.hub_urls.iter().map(|url| quoted(url)).collect();
        let tls = match leaf.hub_urls.first().and_then(|url| leaf_scheme(url)) {
            Some("tls") => format!("  tls {{ {}handshake_first: true }}\n", ca(leaf)),
            Some("wss") => format!("  tls {{ {}}}\n", ca(leaf)),
            Some(_) | None => String::new(),
        };
        // Learned addresses are the hub's internal ones; the region keeps to those it was given.
        text.push_str(&format!(
            "leafnodes {{\n  reconnect: 2s\n  remotes: [ {{\n  urls: [ {} ]\n  account: APP\n  \
             ignore_discovered_servers: true\n{tls}  include {}\n  }} ]\n}}\n",
            urls.join(", "),
            // Included paths are relative to the including file.
            quoted(Files::SEED_INCLUDE),
        ));
    }
    text.push_str(&accounts(basis.passwords, &[]));
    text
}

fn ca(leaf: &LeafLink) -> String {
    leaf.ca_file
        .as_deref()
        .map(|path| format!("ca_file: {}, ", quoted_path(path)))
        .unwrap_or_default()
}

/// The hub's configuration.
pub(super) fn hub(basis: &Basis<'_>, broker: &HubBroker, users: &[LeafUser]) -> String {
    let leaf = &broker.leaf;
    let mut text = head(basis, 256);
    // Regions ask each other (tomato.cmd.<to>.<from>.<verb>) through the hub, so interest is not isolated; the
    // allow-list of each region is what keeps them apart.
    text.push_str(&format!(
        "leafnodes {{\n  listen: {}\n  no_advertise: true\n  isolate_leafnode_interest: false\n  compression: s2_auto\n{}}}\n",
        quoted(&address(leaf.host, leaf.port)),
        tls(leaf, "timeout: 3, handshake_first: true "),
    ));
    if let Some(port) = leaf.websocket_port {
        let security = if leaf.tls_cert_file.is_some() {
            tls(leaf, "")
        } else {
            "  no_tls: true\n".into()
        };
        text.push_str(&format!(
            "websocket {{\n  listen: {}\n{security}}}\n",
            quoted(&address(leaf.host, port))
        ));
    }
    text.push_str(&accounts(basis.passwords, users));
    text
}

fn tls(leaf: &LeafPort, more: &str) -> String {
    match (&leaf.tls_cert_file, &leaf.tls_key_file) {
        (Some(cert), Some(key)) => {
            format!(
                "  tls {{ cert_file: {}, key_file: {}, {more}}}\n",
                quoted_path(cert),
                quoted_path(key)
            )
        }
        (Some(_), None) | (None, Some(_) | None) => String::new(),
    }
}

fn head(basis: &Basis<'_>, memory_mb: u32) -> String {
    let Basis {
        name, server, files, ..
    } = basis;
    let monitor = match server.monitor_port {
        0 => String::new(),
        port => format!("http: {}\n", quoted(&address(server.host, port))),
    };
    format!(
        "# Written by tomato at every start; changes here are lost.\n\
         server_name: {name}\n\
         listen: {listen}\n\
         {monitor}\
         max_payload: 1MB\n\
         ping_interval: 5s\n\
         ping_max: 2\n\
         logtime_utc: true\n\
         log_file: {log}\n\
         logfile_size_limit: 16MB\n\
         logfile_max_num: 2\n\
         jetstream {{\n  store_dir: {store}\n  domain: {name}\n  sync_interval: \"1s\"\n  \
         max_memory_store: {memory_mb}MB\n  max_file_store: {bytes}\n}}\n",
        name = quoted(name),
        listen = quoted(&address(server.host, server.port)),
        log = quoted_path(&files.log()),
        store = quoted_path(&files.store()),
        bytes = basis.max_file_store_bytes,
    )
}

fn accounts(passwords: &Passwords, users: &[LeafUser]) -> String {
    let mut text = format!(
        "system_account: SYS\naccounts {{\n  SYS {{ users: [ {{ user: admin, password: {} }} ] }}\n  \
         APP {{\n    jetstream: enabled\n    users: [\n      {{ user: {APP_USER}, password: {} }}\n",
        quoted(passwords.sys.expose()),
        quoted(passwords.app.expose()),
    );
    for user in users {
        let allowed = leaf_permissions(&user.region);
        let list = |subjects: &[String]| {
            subjects
                .iter()
                .map(|s| quoted(s))
                .collect::<Vec<_>>()
                .join("\n          ")
        };
        text.push_str(&format!(
            "      # region {}\n      {{ nkey: {}, permissions: {{\n        publish: {{ allow: [\n          {}\n        ] }}\n        \
             subscribe: {{ allow: [\n          {}\n        ] }}\n      }} }}\n",
            user.region,
            user.public_nkey,
            list(&allowed.publish),
            list(&allowed.subscribe),
        ));
    }
    text.push_str("    ]\n  }\n}\n");
    text
}

fn address(host: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(host, port).to_string()
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A string of the configuration language. In double quotes `$` is no variable and `#` no comment.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        if letter == '"' || letter == '\\' {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
    out
}
