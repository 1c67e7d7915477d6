//! The region's ties to the hub and to other regions. All of them may be cut; the region goes on.

pub mod borders;
pub mod control;
pub mod directory;
pub mod link;
pub mod loans;
pub mod parcels;
pub mod peers;
mod verify;
