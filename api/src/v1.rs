//! The resources of the Bare Metal API, one module each, and the table of their routes.

pub(crate) mod conductors;
pub(crate) mod drivers;
pub(crate) mod empty;
pub(crate) mod members;
pub(crate) mod nodes;
pub(crate) mod root;
pub(crate) mod routes;
pub(crate) mod shards;

pub use routes::compatibility;
