//! One request, from its sending to its answer, within the process that was asked.

use super::{Ask, Told};
use crate::plant::Plant;
use crate::world::gateway::Answered;
use crate::world::process::{Conductor, instance_of};
use baton_model::command::{Command, EditNode, Refusal, Reply};
use baton_model::hardware::{Enabled, compose};
use baton_model::ids::{NodeId, RequestId, WallMs};
use baton_model::json::Json;
use baton_model::node::edit::NodeEdit;
use baton_model::node::provision::Verb;
use baton_model::node::record::{Interfaces, NodeRecord};
use baton_model::port::cluster::ProposeError;
use baton_model::port::node::{Caller, NodeError, NodeRequest};

/// The id of request `number`, as the lock shows it.
#[must_use]
pub fn request_id(number: u64) -> RequestId {
    RequestId(format!("req-{number}").into())
}

pub(super) async fn perform(
    conductor: &Conductor,
    node: NodeId,
    address: &str,
    number: u64,
    ask: Ask,
) -> Told {
    match ask {
        Ask::Create => propose(conductor, create(node, address)).await,
        Ask::Write(text) => {
            let edit = EditNode {
                node,
                expect: None,
                edits: vec![NodeEdit::Description(Some(text.into()))],
            };
            propose(conductor, Command::NodeEdit(edit)).await
        }
        Ask::Read => match barrier(conductor).await {
            Ok(()) => {
                let state = conductor.state.read();
                let record = state.node(node);
                Told::Value(record.and_then(|record| record.description.as_deref().map(Into::into)))
            }
            Err(error) => Told::Refused(error.to_string()),
        },
        Ask::Manage => {
            let request = NodeRequest::Provision {
                verb: Verb::Manage,
                arguments: Json::EMPTY,
            };
            request_work(conductor, node, number, request).await
        }
        Ask::Power(request) => {
            let request = NodeRequest::Power {
                request,
                timeout_s: None,
                caller: Caller::Operator,
            };
            request_work(conductor, node, number, request).await
        }
    }
}

fn create(node: NodeId, address: &str) -> Command {
    let mut record = NodeRecord::new(node, "ipmi".into(), WallMs(0));
    record.instance_uuid = Some(instance_of(node));
    record.name = Some(format!("machine-{address}").replace('.', "-").into());
    record.interfaces = compose(
        "ipmi",
        Some(node),
        &Interfaces::default(),
        &Enabled::default(),
    )
    .unwrap_or_default();
    record.driver_info = Json::parse(&format!(
        r#"{{"ipmi_address":"{address}","ipmi_username":"admin","ipmi_password":"password"}}"#
    ))
    .unwrap_or_default();
    Command::NodeCreate(Box::new(record))
}

/// Waits until this conductor knows what was committed before now.
async fn barrier(conductor: &Conductor) -> Result<(), ProposeError> {
    if conductor.plant == Plant::StaleReads {
        return Ok(());
    }
    conductor.cluster.linearizable().await
}

async fn propose(conductor: &Conductor, command: Command) -> Told {
    match conductor.cluster.propose(command).await {
        Ok(Reply::Done { index, .. }) => Told::Done(Some(index.0)),
        Ok(Reply::Refused(Refusal::Rule(refused))) => Told::Refused(refused.text.into()),
        Ok(Reply::Refused(refusal)) => Told::Refused(format!("{refusal:?}")),
        Err(ProposeError::Unavailable { reason }) => Told::Refused(reason.into()),
        Err(ProposeError::Unknown { reason }) => Told::Unknown(reason.into()),
    }
}

async fn request_work(
    conductor: &Conductor,
    node: NodeId,
    number: u64,
    request: NodeRequest,
) -> Told {
    match conductor
        .gateway
        .ask(node, request_id(number), request)
        .await
    {
        Answered::Answer(Ok(_)) => Told::Done(None),
        Answered::Answer(Err(NodeError::Refused(refused))) => Told::Refused(refused.text.into()),
        // The owner may have proposed the work before it lost the node or the log.
        Answered::Answer(Err(error)) => Told::Unknown(error.to_string()),
        Answered::NotSent(reason) => Told::Refused(reason),
        Answered::Unknown(reason) => Told::Unknown(reason),
    }
}
