//! Several change sinks as one: the state machine tells one, and all hear.

use baton_model::ids::LogIndex;
use baton_model::port::cluster::ChangeSink;
use baton_model::state::Change;
use std::sync::Arc;

/// Hands every change on to each of these, in order.
pub(crate) struct Sinks(pub(crate) Vec<Arc<dyn ChangeSink>>);

impl ChangeSink for Sinks {
    fn applied(&self, index: LogIndex, changes: &[Change]) {
        for sink in &self.0 {
            sink.applied(index, changes);
        }
    }

    fn reset(&self, index: LogIndex) {
        for sink in &self.0 {
            sink.reset(index);
        }
    }
}
