//! The API over its real router, against a cluster that applies at once and owners that do as they are told.

mod admin;
mod auth;
mod bad_input;
mod clients;
mod compute;
mod docs;
mod figures;
mod lists;
mod nodes;
mod objects;
mod passthru;
mod patches;
mod resources;
mod versions;
mod work;
mod world;
