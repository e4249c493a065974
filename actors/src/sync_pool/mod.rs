//! The actor around [`baton_model::pool`].

mod messages;

pub use messages::{BmcReport, Cancel, CredentialsChanged, Forget, Submit};
