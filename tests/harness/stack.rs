//! A whole system of real processes: a hub, regions, one issuer, one clock; in a directory of its own.

mod files;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tomato_shared::cell::RegionId;

use crate::city::clock::Clock;
use crate::city::habits::Habits;
use crate::city::tracker::Tracker;
use crate::city::world::{Ground, Size, World};
use crate::city::{City, Setting};
use crate::client::{Api, connections};
use crate::network::Network;
use crate::proxy::Proxy;
use crate::server::Server;
use crate::settings::{RegionFile, Shared};
use crate::tokens::Issuer;

/// What a stack shall be.
#[derive(Debug, Clone)]
pub struct StackPlan {
    regions: Vec<RegionFile>,
    rate: f64,
    folder: Option<PathBuf>,
    port_base: Option<u16>,
    log_filter: String,
    hub: bool,
    proxied: bool,
    apart: bool,
}

impl Default for StackPlan {
    fn default() -> Self {
        Self {
            regions: Vec::new(),
            rate: 1.0,
            folder: None,
            port_base: None,
            log_filter: "info".into(),
            hub: true,
            proxied: false,
            apart: false,
        }
    }
}

impl StackPlan {
    /// Adds a region of those that come with the project, as `blr`.
    #[must_use]
    pub fn region(self, id: &str) -> Self {
        self.region_file(RegionFile::named(id))
    }

    /// Adds a region by its file.
    #[must_use]
    pub fn region_file(mut self, file: RegionFile) -> Self {
        self.regions.push(file);
        self
    }

    /// How fast region time runs; also relaxes settings that a fast clock would make unfair.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// Keeps everything in this directory; without, it is temporary.
    #[must_use]
    pub fn folder(mut self, folder: PathBuf) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Chooses ports by number: hub at `base`, the first region at `base + 10`, and so on; without, free ones.
    #[must_use]
    pub fn port_base(mut self, base: u16) -> Self {
        self.port_base = Some(base);
        self
    }

    /// What programs log, as in `RUST_LOG`.
    #[must_use]
    pub fn log_filter(mut self, filter: &str) -> Self {
        filter.clone_into(&mut self.log_filter);
        self
    }

    /// Regions stand alone: no hub, no link to one.
    #[must_use]
    pub fn without_hub(mut self) -> Self {
        self.hub = false;
        self
    }

    /// A network between each region and the hub that can be cut, see [`TestNode::wire`]. Needs a runtime already when it is prepared.
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Hub and regions each in a network namespace, see [`Stack::network`]. Not where [`Network::unavailable`] says why.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.apart = true;
        self
    }
}

/// A hub.
#[derive(Debug)]
pub struct TestHub {
    pub server: Server,
    /// As a central operator.
    pub api: Api,
}

/// A region's node.
#[derive(Debug)]
pub struct TestNode {
    pub region: RegionId,
    pub ground: Ground,
    pub server: Server,
    /// As the region's operator.
    pub api: Api,
    /// The network to the hub, in a stack whose plan says [`StackPlan::proxied`].
    pub proxy: Option<Proxy>,
}

impl TestNode {
    /// The network to the hub; panics in a stack without.
    pub fn wire(&self) -> &Proxy {
        self.proxy.as_ref().expect("this stack has proxies")
    }
}

/// The processes and what they share. Nothing runs until it is started.
#[derive(Debug)]
pub struct Stack {
    pub clock: Clock,
    pub issuer: Arc<Issuer>,
    pub hub: Option<TestHub>,
    pub nodes: Vec<TestNode>,
    /// What lies between them, in a stack whose plan says [`StackPlan::apart`]. Dropped after the programs in it.
    pub network: Option<Network>,
    folder: PathBuf,
    temporary: Option<TempDir>,
}

impl Stack {
    /// Writes every file and enrols the regions at the hub. A directory that was used before keeps keys, data and the
    /// clock: region time must never go back.
    pub fn prepare(plan: StackPlan) -> Result<Self, String> {
        let temporary = match plan.folder {
            Some(_) => None,
            None => Some(TempDir::with_prefix("tomato-").map_err(|error| error.to_string())?),
        };
        let folder = plan
            .folder
            .clone()
            .or(temporary.as_ref().map(|folder| folder.path().to_owned()));
        let folder = files::make(&folder.unwrap_or_default())?;
        let clock = files::clock(&folder, plan.rate)?;
        let issuer = Arc::new(Issuer::open(&folder)?);
        let http = connections();
        let network = plan.apart.then(|| Network::make(plan.regions.len())).transpose()?;
        let shared = Shared {
            issuer: &issuer,
            clock,
            log_filter: &plan.log_filter,
        };
        let hub = if plan.hub {
            Some(files::hub(&folder, (plan.port_base, network.as_ref()), shared, &http)?)
        } else {
            None
        };
        let mut nodes = Vec::new();
        for (number, file) in plan.regions.iter().enumerate() {
            let file = file.clone().for_rate(clock.rate);
            let link = hub
                .as_ref()
                .map(|_| files::enrol(&folder, &file.region()))
                .transpose()?;
            let ports = files::node_ports(plan.port_base, number)?;
            let (link, proxy) = match link {
                Some(link) if plan.proxied => files::proxied(link).map(|(link, proxy)| (Some(link), Some(proxy)))?,
                link => (link, None),
            };
            let machine = network.as_ref().map(|network| network.region(number)).transpose()?;
            let node = files::node(&folder, file, (ports, link, machine), shared, &http)?;
            nodes.push(TestNode { proxy, ..node });
        }
        Ok(Self {
            clock,
            issuer,
            hub,
            nodes,
            network,
            folder,
            temporary,
        })
    }

    /// Starts the hub, then every region.
    pub async fn start(&mut self) -> Result<(), String> {
        if let Some(hub) = &mut self.hub {
            hub.server.start().await?;
        }
        self.start_nodes().await
    }

    /// Starts every region, and leaves the hub as it is.
    pub async fn start_nodes(&mut self) -> Result<(), String> {
        for node in &mut self.nodes {
            node.server.start().await?;
        }
        Ok(())
    }

    /// Stops the regions, then the hub, gently; names everything that did not end well.
    pub async fn stop(&mut self) -> Result<(), String> {
        let mut faults = Vec::new();
        for node in &mut self.nodes {
            faults.extend(node.server.stop().await.err());
        }
        if let Some(hub) = &mut self.hub {
            faults.extend(hub.server.stop().await.err());
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("\n"))
        }
    }

    /// Lets every region in at a hub that has lost its registry. Each gets a new key, which its node reads at its next start.
    pub fn enrol_again(&self) -> Result<(), String> {
        self.nodes
            .iter()
            .try_for_each(|node| files::enrol(&self.folder, &node.region).map(drop))
    }

    /// The hub; panics in a stack without.
    pub fn hub(&mut self) -> &mut TestHub {
        self.hub.as_mut().expect("this stack has a hub")
    }

    /// A region by name; panics when there is none.
    pub fn node(&mut self, region: &str) -> &mut TestNode {
        let found = self.nodes.iter_mut().find(|node| node.region.as_str() == region);
        found.unwrap_or_else(|| panic!("this stack has no region {region}"))
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the directory goes away with the stack.
    pub fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Makes up a city on a region that runs, and writes its restaurants and drivers.
    pub async fn city(
        &self,
        region: &str,
        (seed, size): (u64, Size),
        habits: Habits,
        tracker: &Arc<Tracker>,
    ) -> Arc<City> {
        let node = self.nodes.iter().find(|node| node.region.as_str() == region);
        let node = node.unwrap_or_else(|| panic!("this stack has no region {region}"));
        let world = World::generate(seed, node.ground.clone(), size);
        let city = self.city_of(node, world, (seed, habits, false), tracker);
        city.world
            .write(&node.api)
            .await
            .unwrap_or_else(|error| panic!("the city cannot be written: {error}"));
        city
    }

    /// The same for a world that exists already, without writing it. The flag says whether ways take whole minutes.
    pub fn city_of(
        &self,
        node: &TestNode,
        world: World,
        (seed, habits, whole_minutes): (u64, Habits, bool),
        tracker: &Arc<Tracker>,
    ) -> Arc<City> {
        let (clock, issuer, tracker) = (self.clock, self.issuer.clone(), tracker.clone());
        let setting = Setting {
            seed,
            habits,
            clock,
            issuer,
            tracker,
            whole_minutes,
        };
        City::new(setting, world, node.server.public().clone())
    }
}
