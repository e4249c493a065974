//! The traits through which sibling crates meet. Implemented where the technology lives, joined in `src/wiring.rs`.

pub mod bmc;
pub mod chore;
pub mod cluster;
pub mod compute;
pub mod inquiry;
pub mod lease;
pub mod node;
pub mod power;

use std::future::Future;
use std::pin::Pin;

/// A boxed future, so that ports stay object-safe without an async runtime in sight.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
