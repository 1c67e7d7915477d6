//! The region's ties to the hub. All of them may be cut; the region goes on.

pub mod directory;
pub mod link;
pub mod parcels;
mod verify;
