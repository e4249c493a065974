//! What commands do to conductors.

use super::Entry;
use crate::command::{ConductorUp, DrainOrder, Refusal, Reply, Session};
use crate::node::edit::Refused;
use crate::state::{Change, ConductorRecord, ConductorStatus};

/// Host names that may be drained at once: far more than any cluster has conductors, so that orders for hosts that are long
/// gone cannot pile up unseen.
const DRAINED_MAX: usize = 1024;

impl Entry<'_> {
    pub(super) fn conductor_up(&mut self, up: ConductorUp) -> Result<Reply, Refusal> {
        let id = up.session.conductor;
        let known = self.state.conductor(id);
        let same_life = known.filter(|record| record.incarnation == up.session.incarnation);
        let is_over = known.is_some_and(|record| record.incarnation > up.session.incarnation)
            || same_life.is_some_and(|record| record.status == ConductorStatus::Down);
        if is_over {
            return Err(Refusal::SessionOver);
        }
        let taken = self.state.conductors().iter().any(|(other, record)| {
            *other != id && record.host == up.host && record.status != ConductorStatus::Down
        });
        if taken {
            return Err(Refusal::HostTaken);
        }
        // Whoever stops goes on stopping, whatever else it says of itself.
        let stops = same_life.is_some_and(|record| record.status == ConductorStatus::Draining);
        let record = ConductorRecord {
            incarnation: up.session.incarnation,
            status: if stops || self.state.is_drained(&up.host) {
                ConductorStatus::Draining
            } else {
                ConductorStatus::Up
            },
            host: up.host,
            group: up.group,
            rack: up.rack,
            drivers: up.drivers,
            created_at: known.map_or(self.at, |record| record.created_at),
            updated_at: self.at,
        };
        self.state.put_conductor(id, record);
        self.touch(Change::Conductor(id));
        Ok(self.done())
    }

    pub(super) fn conductor_status(
        &mut self,
        session: Session,
        status: ConductorStatus,
    ) -> Result<Reply, Refusal> {
        let mut record = self
            .state
            .conductor(session.conductor)
            .filter(|record| record.incarnation == session.incarnation)
            .cloned()
            .ok_or(Refusal::SessionOver)?;
        if record.status == ConductorStatus::Down && status != ConductorStatus::Down {
            return Err(Refusal::SessionOver);
        }
        record.status = status;
        record.updated_at = self.at;
        self.state.put_conductor(session.conductor, record);
        self.touch(Change::Conductor(session.conductor));
        Ok(self.done())
    }

    /// The order is kept until it is taken back, and the living conductor of that name obeys at once. One that drains because
    /// it is about to stop is not called back.
    pub(super) fn drain_order(&mut self, order: DrainOrder) -> Result<Reply, Refusal> {
        let DrainOrder { host, drained } = order;
        let was = self.state.is_drained(&host);
        if drained && !was {
            if self.state.conductor_named(&host).is_none() {
                let text = format!("There is no conductor {host}.");
                return Err(Refusal::Rule(Refused::new(404, text)));
            }
            if self.state.drained().len() >= DRAINED_MAX {
                let text = format!(
                    "{DRAINED_MAX} host names are drained already; undrain those that are gone for good."
                );
                return Err(Refusal::Rule(Refused::new(409, text)));
            }
        }
        let (from, to) = if drained {
            (ConductorStatus::Up, ConductorStatus::Draining)
        } else {
            (ConductorStatus::Draining, ConductorStatus::Up)
        };
        let concerned = self.state.conductor_named(&host);
        if let Some((id, record)) = concerned
            && record.status == from
            && (drained || was)
        {
            let record = ConductorRecord {
                status: to,
                updated_at: self.at,
                ..record.clone()
            };
            self.state.put_conductor(id, record);
            self.touch(Change::Conductor(id));
        }
        if was != drained {
            self.state.set_drained(&host, drained.then_some(self.at));
            self.touch(Change::Drained);
        }
        Ok(self.done())
    }
}
