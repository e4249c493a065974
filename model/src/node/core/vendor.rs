//! Who made the BMC or its machine: asked once, after the first confirmed read, and kept in `properties.vendor` as Ironic
//! does. What an operator wrote there is never overwritten.

use super::plan::PowerDriver;
use super::{Context, Effect, NodeCore, Phase, Then};
use crate::command::NodeChange;
use crate::env::Mono;
use crate::ids::Ticket;
use crate::json::Json;
use crate::node::record::NodeRecord;
use serde_json::Value;
use std::time::Duration;

/// The key in `properties`.
const KEY: &str = "vendor";
/// A new owner does not ask sooner: right after a takeover there is more urgent work at every BMC.
const ASK_FIRST: Duration = Duration::from_secs(30);
/// A BMC that did not say who made it is asked again after this long: a firmware update may have taught it.
const ASK_AGAIN: Duration = Duration::from_secs(3600);

/// What is known of the maker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Maker {
    /// It is in the record.
    Known,
    /// It may be asked for from this time on.
    AskAt(Mono),
    /// It has been asked for, at this time.
    Asked(Ticket, Mono),
}

impl Maker {
    /// What `node` tells, seen at `now`.
    pub(super) fn of(node: &NodeRecord, now: Mono) -> Self {
        if is_named(&node.properties) {
            Self::Known
        } else {
            Self::AskAt(now + ASK_FIRST)
        }
    }
}

/// Whether the properties name a vendor. Ironic takes an empty one for none.
fn is_named(properties: &Json) -> bool {
    // Nearly all nodes have it or lack the very word, so the parsing is rare.
    properties.as_str().contains("\"vendor\"")
        && match properties.to_map().get(KEY) {
            Some(Value::String(vendor)) => !vendor.is_empty(),
            Some(Value::Null) | None => false,
            Some(_) => true,
        }
}

impl NodeCore {
    /// Asks who made the BMC if the record does not tell. Called when the record and the machine agree and nothing else
    /// is to be done.
    pub(super) fn ask_for_maker(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let due = match self.maker {
            Maker::Known => return,
            Maker::AskAt(at) => at,
            Maker::Asked(_, at) => at + ASK_AGAIN,
        };
        let has_bmc = matches!(
            PowerDriver::of(&self.record),
            PowerDriver::Ipmi | PowerDriver::Redfish
        );
        if !has_bmc || context.now < due || !context.is_owner {
            return;
        }
        let ticket = self.ticket();
        self.maker = Maker::Asked(ticket, context.now);
        out.push(Effect::Identify { ticket });
    }

    pub(super) fn on_identified(
        &mut self,
        context: Context<'_>,
        ticket: Ticket,
        vendor: Option<&str>,
        out: &mut Vec<Effect>,
    ) {
        if !matches!(self.maker, Maker::Asked(asked, _) if asked == ticket) {
            return;
        }
        let Some(vendor) = vendor.filter(|vendor| !vendor.is_empty()) else {
            self.maker = Maker::AskAt(context.now + ASK_AGAIN);
            return;
        };
        if !matches!(self.phase, Phase::Idle) || self.record.intent.is_some() || !context.is_owner {
            // Something more important began meanwhile; the next quiet read asks again.
            self.maker = Maker::AskAt(Mono(0));
            return;
        }
        let mut properties = self.record.properties.to_map();
        properties.insert(KEY.to_owned(), Value::String(vendor.to_owned()));
        let changes = vec![NodeChange::Properties(Json::from_map(&properties))];
        self.propose(Some(self.record.revision), changes, Then::Rest, out);
    }
}
