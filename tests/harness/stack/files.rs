//! What a stack writes before anything runs: configuration files, the clock, the regions' keys.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tomato_shared::cell::RegionId;
use tomato_shared::time::UnixMs;

use super::{TestHub, TestNode};
use crate::city::clock::Clock;
use crate::client::Api;
use crate::network::{Machine, Network};
use crate::ports;
use crate::process::ask_hub;
use crate::proxy::Proxy;
use crate::server::Server;
use crate::settings::{self, HubPorts, NodePorts, RegionFile, Shared};

/// Ports from one region to the next where they are chosen by number.
const PORTS_APART: u16 = 10;

pub(super) fn make(folder: &Path) -> Result<PathBuf, String> {
    let explain = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(explain)?;
    folder.canonicalize().map_err(explain)
}

/// The clock of the directory, or a new one that starts now.
pub(super) fn clock(folder: &Path, rate: f64) -> Result<Clock, String> {
    let file = folder.join("clock");
    if let Ok(text) = std::fs::read_to_string(&file) {
        let (epoch, rate) = text
            .trim()
            .split_once(' ')
            .ok_or_else(|| format!("{}: not a clock", file.display()))?;
        let parsed = epoch.parse().ok().zip(rate.parse().ok());
        let (epoch, rate) = parsed.ok_or_else(|| format!("{}: not a clock", file.display()))?;
        return Ok(Clock {
            epoch: UnixMs(epoch),
            rate,
        });
    }
    let clock = Clock::starting_now(rate);
    write(&file, &format!("{} {}\n", clock.epoch.0, clock.rate))?;
    Ok(clock)
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn loopback(base: Option<u16>, offset: u16) -> Result<SocketAddr, String> {
    let Some(base) = base else { return Ok(ports::free()) };
    let port = base
        .checked_add(offset)
        .ok_or_else(|| format!("port {base} + {offset} is more than 65535"))?;
    if ports::is_free(port) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    Err(format!(
        "port {port} is in use; end what listens there, or choose others with --port-base"
    ))
}

pub(super) fn node_ports(base: Option<u16>, number: usize) -> Result<NodePorts, String> {
    let offset = u16::try_from(number + 1).map_or(u16::MAX, |number| number.saturating_mul(PORTS_APART));
    Ok(NodePorts {
        http: loopback(base, offset)?,
        nats: loopback(base, offset.saturating_add(1))?,
        admin: loopback(base, offset.saturating_add(2))?,
    })
}

/// A program's data directory, which may be a link to another disk.
fn data(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    path.canonicalize().unwrap_or(path)
}

pub(super) fn hub(
    folder: &Path,
    (base, network): (Option<u16>, Option<&Network>),
    shared: Shared<'_>,
    http: &reqwest::Client,
) -> Result<TestHub, String> {
    let mut ports = HubPorts {
        http: loopback(base, 0)?,
        nats: loopback(base, 1)?,
        leaf: loopback(base, 2)?,
    };
    if let Some(network) = network {
        ports.http.set_ip(network.hub().access.into());
        ports.leaf.set_ip(network.leaf().into());
    }
    let (config, data) = (folder.join("hub.toml"), data(folder, "hub"));
    write(&config, &settings::hub(&data, ports, shared).text())?;
    let public = Api::new(http, &format!("http://{}", ports.http));
    let api = public.with_token(&shared.issuer.operator());
    let mut server = Server::new("tomato-hub", &config, data, public)?;
    if let Some(network) = network {
        server.within(&network.hub().namespace);
    }
    Ok(TestHub { server, api })
}

/// Lets a region in at the hub, and returns what its node has to know of it: the tables `broker.leaf` and `privacy`.
pub(super) fn enrol(folder: &Path, region: &RegionId) -> Result<toml::Table, String> {
    let keys = folder.join("keys");
    let out = keys.display().to_string();
    ask_hub(folder, &["region", "add", "--region", region.as_str(), "--out", &out])?;
    let file = keys.join(format!("{region}.toml"));
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.parse().map_err(|error| format!("{}: {error}", file.display()))
}

/// Puts a proxy between a region and the address of the hub that it was given.
pub(super) fn proxied(mut link: toml::Table) -> Result<(toml::Table, Proxy), String> {
    let leaf = link.get_mut("broker").and_then(|broker| broker.get_mut("leaf"));
    let urls = leaf.and_then(|leaf| leaf.get_mut("hub_urls")?.as_array_mut());
    let url = urls
        .and_then(|urls| urls.first_mut())
        .ok_or("[broker.leaf] names no hub")?;
    let (scheme, hub) = url
        .as_str()
        .and_then(|text| text.split_once("://"))
        .and_then(|(scheme, address)| Some((scheme, address.parse().ok()?)))
        .ok_or_else(|| format!("{url} is no scheme with an address"))?;
    let proxy = Proxy::start(hub)?;
    *url = format!("{scheme}://{}", proxy.address()).into();
    Ok((link, proxy))
}

pub(super) fn node(
    folder: &Path,
    file: RegionFile,
    (mut ports, link, machine): (NodePorts, Option<toml::Table>, Option<Machine>),
    shared: Shared<'_>,
    http: &reqwest::Client,
) -> Result<TestNode, String> {
    let (region, ground) = (file.region(), file.ground());
    if let Some(machine) = &machine {
        ports.http.set_ip(machine.access.into());
    }
    let (config, data) = (folder.join(format!("{region}.toml")), data(folder, region.as_str()));
    let file = settings::node(file, &data, ports, shared).without("broker.leaf");
    let leaf = link.as_ref().and_then(|link| link.get("broker")?.get("leaf"));
    let privacy = link.as_ref().and_then(|link| link.get("privacy"));
    let tables = [("broker.leaf", leaf), ("privacy", privacy)];
    let file = tables.into_iter().fold(file, |file, (path, table)| match table {
        Some(table) => file.set(path, table.clone()),
        None => file,
    });
    write(&config, &file.text())?;
    let public = Api::new(http, &format!("http://{}", ports.http));
    let api = public.with_token(&shared.issuer.operator());
    let mut server = Server::new("tomato-node", &config, data, public)?;
    if let Some(machine) = machine {
        server.within(&machine.namespace);
    }
    Ok(TestNode {
        region,
        ground,
        server,
        api,
        proxy: None,
    })
}
