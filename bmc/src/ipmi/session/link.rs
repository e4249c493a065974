//! An open RMCP+ session: sequence numbers both ways, privilege level, age; sealing requests, opening responses.

use super::handshake::Opened;
use super::job::SessionIds;
use super::{Ignored, Io};
use crate::ipmi::wire::command::Command;
use crate::ipmi::wire::crypto::TrafficKeys;
use crate::ipmi::wire::message::{CONSOLE_ADDRESS, REQUEST_SEQUENCE_MASK, Request, Response};
use crate::ipmi::wire::packet::{Packet20, PayloadType};
use crate::ipmi::wire::window::SequenceWindow;
use baton_model::driver::ipmi::Privilege;
use baton_model::env::Mono;
use rand::RngCore;

/// One open session.
pub(super) struct Link {
    keys: TrafficKeys,
    console_id: u32,
    bmc_id: u32,
    /// Sequence number of the last packet to the BMC; the first one is 1 (§13.6).
    sent: u32,
    window: SequenceWindow,
    /// Number of the current request.
    request: u8,
    /// Level that the BMC holds the session at.
    pub(super) privilege: Privilege,
    pub(super) opened_at: Mono,
    /// When the BMC last said something in this session.
    pub(super) heard_at: Mono,
}

impl Link {
    /// `ceiling` is the level that RAKP 1 asked for. A session starts at User unless it may not (§22.18).
    pub(super) fn new(opened: Opened, ceiling: Privilege, now: Mono) -> Self {
        Self {
            keys: opened.keys,
            console_id: opened.console_id,
            bmc_id: opened.bmc_id,
            sent: 0,
            window: SequenceWindow::new(),
            request: 0,
            privilege: match ceiling {
                Privilege::Callback => Privilege::Callback,
                Privilege::User | Privilege::Operator | Privilege::Administrator => Privilege::User,
            },
            opened_at: now,
            heard_at: now,
        }
    }

    pub(super) const fn ids(&self) -> SessionIds {
        SessionIds {
            console: self.console_id,
            bmc: self.bmc_id,
        }
    }

    /// Turns to the next request: answers to earlier ones are no longer taken.
    pub(super) const fn next_request(&mut self) {
        self.request = self.request.wrapping_add(1) & REQUEST_SEQUENCE_MASK;
    }

    /// Puts `command` into `io.out` under a fresh session sequence number and the current request number: a BMC may
    /// recognise the repetition (§6.12.13, §13.8), but must not take it for a replay.
    pub(super) fn send(&mut self, command: &Command, io: &mut Io<'_>) {
        // Four thousand million packets at one a millisecond take 49 days; a session lives for an hour.
        self.sent = self.sent.wrapping_add(1).max(1);
        let mut iv = [0; 16];
        io.rng.fill_bytes(&mut iv);
        let data = command.data();
        self.keys.seal(
            io.out,
            PayloadType::Ipmi,
            self.bmc_id,
            self.sent,
            iv,
            &Request {
                netfn: command.netfn(),
                lun: 0,
                sequence: self.request,
                requester: CONSOLE_ADDRESS,
                command: command.number(),
                data: data.as_bytes(),
            },
        );
    }

    /// Opens a packet and pairs it with `command`. Only then is its sequence number used up.
    pub(super) fn receive<'a>(
        &mut self,
        packet: &Packet20<'_>,
        command: &Command,
        clear: &'a mut Vec<u8>,
    ) -> Result<Response<'a>, Ignored> {
        if packet.session != self.console_id || packet.kind != PayloadType::Ipmi {
            return Err(Ignored::Unexpected);
        }
        if !self.window.is_fresh(packet.sequence) {
            return Err(Ignored::Replayed);
        }
        self.keys.open(packet, clear).map_err(|_| Ignored::Forged)?;
        self.window.accept(packet.sequence);
        let response = Response::decode(clear)?;
        if response.sequence != self.request
            || response.netfn != command.netfn()
            || response.command != command.number()
        {
            return Err(Ignored::Unexpected);
        }
        Ok(response)
    }
}
