//! Machines of their own, as far as the network goes: a Linux network namespace for the hub and one for each region. Needs root,
//! and `ip` of iproute2.
//!
//! ```text
//!   test --- access link --- region's machine --- wide link --- hub's machine --- access link --- test
//! ```
//!
//! Apps come by the access links, which are never cut. The wide links are what lies between cities: taken down they lose
//! packets without a word to either end, and with a hole for a route they lose those of one direction.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::process::said_by;

/// Networks that can be there at once, told apart by a number in every name and address.
const NUMBERS: std::ops::Range<u8> = 1..100;
/// Each link has a block of four addresses, and a network has a byte of them.
const REGIONS_MAX: u8 = 60;

/// The hub's machine, and the regions' in order.
#[derive(Debug)]
pub struct Network {
    number: u8,
    regions: u8,
}

/// One machine of a network.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The namespace in which its programs run.
    pub(crate) namespace: String,
    /// Where apps reach it.
    pub(crate) access: Ipv4Addr,
}

impl Network {
    /// Why namespaces cannot be made here, if so.
    pub fn unavailable() -> Option<String> {
        Self::make(1).err()
    }

    /// A network of so many regions.
    pub fn make(regions: usize) -> Result<Self, String> {
        let regions = u8::try_from(regions).ok().filter(|count| *count <= REGIONS_MAX);
        let regions = regions.ok_or("too many regions for one network")?;
        for number in NUMBERS {
            let network = Self { number, regions };
            // Whoever has the hub's name has the number.
            if let Err(problem) = ip(&["netns", "add", &network.namespace(0)]) {
                std::mem::forget(network);
                if problem.contains("File exists") {
                    continue;
                }
                return Err(problem);
            }
            match network.lay() {
                Ok(()) => return Ok(network),
                // The kernel has not cleared away yet what somebody had left who was killed.
                Err(problem) if problem.contains("File exists") => {}
                Err(problem) => return Err(problem),
            }
        }
        Err("every number for a network is taken".into())
    }

    fn lay(&self) -> Result<(), String> {
        let hub = self.namespace(0);
        for machine in 0..=self.regions {
            let name = self.namespace(machine);
            if machine > 0 {
                ip(&["netns", "add", &name])?;
            }
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            let ours = self.near(machine);
            ip(&[
                "link", "add", &ours, "type", "veth", "peer", "name", "access", "netns", &name,
            ])?;
            ip(&["addr", "add", &format!("{}/30", self.access(machine, 1)), "dev", &ours])?;
            ip(&["link", "set", &ours, "up"])?;
            let theirs = format!("{}/30", self.access(machine, 2));
            ip(&["-n", &name, "addr", "add", &theirs, "dev", "access"])?;
            ip(&["-n", &name, "link", "set", "access", "up"])?;
        }
        ip(&["-n", &hub, "addr", "add", &format!("{}/32", self.leaf()), "dev", "lo"])?;
        for region in 1..=self.regions {
            let (name, wide) = (self.namespace(region), format!("wide{region}"));
            ip(&[
                "-n", &hub, "link", "add", &wide, "type", "veth", "peer", "name", "wide", "netns", &name,
            ])?;
            ip(&[
                "-n",
                &hub,
                "addr",
                "add",
                &format!("{}/30", self.wide(region, 1)),
                "dev",
                &wide,
            ])?;
            ip(&["-n", &hub, "link", "set", &wide, "up"])?;
            ip(&[
                "-n",
                &name,
                "addr",
                "add",
                &format!("{}/30", self.wide(region, 2)),
                "dev",
                "wide",
            ])?;
            self.heal(usize::from(region) - 1)?;
        }
        Ok(())
    }

    /// Takes a region's wide link down: neither end is told, and what is sent is lost.
    pub fn cut(&self, region: usize) -> Result<(), String> {
        ip(&["-n", &self.region(region)?.namespace, "link", "set", "wide", "down"])
    }

    /// What the region sends is lost; what the hub sends arrives.
    pub fn cut_towards_hub(&self, region: usize) -> Result<(), String> {
        let name = self.region(region)?.namespace;
        ip(&["-n", &name, "route", "replace", "blackhole", &self.leaf().to_string()])
    }

    /// What the hub sends is lost; what the region sends arrives.
    pub fn cut_towards_region(&self, region: usize) -> Result<(), String> {
        let address = self.wide(index(region)?, 2).to_string();
        ip(&["-n", &self.namespace(0), "route", "replace", "blackhole", &address])
    }

    /// Makes the wide link whole again.
    pub fn heal(&self, region: usize) -> Result<(), String> {
        let (name, number) = (self.region(region)?.namespace, index(region)?);
        ip(&["-n", &name, "link", "set", "wide", "up"])?;
        let (leaf, via) = (self.leaf().to_string(), self.wide(number, 1).to_string());
        // The hole is there only after a cut of one way.
        ip(&["-n", &name, "route", "del", "blackhole", &leaf]).ok();
        ip(&["-n", &name, "route", "replace", &leaf, "via", &via, "dev", "wide"])?;
        let address = self.wide(number, 2).to_string();
        ip(&["-n", &self.namespace(0), "route", "del", "blackhole", &address]).ok();
        Ok(())
    }

    /// The hub's machine.
    pub(crate) fn hub(&self) -> Machine {
        self.machine(0)
    }

    /// A region's machine, counted from 0.
    pub(crate) fn region(&self, region: usize) -> Result<Machine, String> {
        index(region).map(|number| self.machine(number))
    }

    /// Where the hub takes links of regions.
    pub(crate) fn leaf(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 78, self.number, 1)
    }

    fn machine(&self, machine: u8) -> Machine {
        Machine {
            namespace: self.namespace(machine),
            access: self.access(machine, 2),
        }
    }

    fn namespace(&self, machine: u8) -> String {
        format!("tomato-{}-{machine}", self.number)
    }

    /// The test's end of an access link.
    fn near(&self, machine: u8) -> String {
        format!("tm{}a{machine}", self.number)
    }

    fn access(&self, machine: u8, end: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.number, machine * 4 + end)
    }

    fn wide(&self, region: u8, end: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 78, self.number, region * 4 + end)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Links go with their namespace, but later. One that was never made is not missed.
        for machine in 0..=self.regions {
            ip(&["link", "del", &self.near(machine)]).ok();
            ip(&["netns", "del", &self.namespace(machine)]).ok();
        }
    }
}

/// Regions are counted from 0, machines from the hub.
fn index(region: usize) -> Result<u8, String> {
    let machine = u8::try_from(region + 1).ok().filter(|machine| *machine <= REGIONS_MAX);
    machine.ok_or_else(|| format!("no network has a region {region}"))
}

fn ip(args: &[&str]) -> Result<(), String> {
    said_by(Command::new("ip").args(args)).map(drop)
}
