//! `/v1/nodes/{node}/vendor_passthru`: what one vendor interface can do and others cannot. Sources: Ironic
//! `ipmitool.py` `VendorPassthru`, `redfish/vendor.py`, `fake.py`; api-nodes.md §18 and §20.

use crate::app::{App, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use axum::http::Method;
use baton_model::json::Json;
use baton_model::node::record::NodeRecord;
use baton_model::port::chore::Chore;
use baton_model::port::inquiry::{Disclosure, Inquiry};
use baton_model::port::node::{NodeAnswer, NodeRequest};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A method of a vendor interface.
struct Known {
    /// The interface that has it.
    of: &'static str,
    name: &'static str,
    verb: Method,
    /// It answers before it is done.
    is_async: bool,
    exclusive: bool,
    description: &'static str,
}

const FAKE: &str = "A method of the fake vendor interface; it needs the argument bar.";

const fn known(
    of: &'static str,
    name: &'static str,
    verb: Method,
    is_async: bool,
    description: &'static str,
) -> Known {
    Known {
        of,
        name,
        verb,
        is_async,
        exclusive: true,
        description,
    }
}

static METHODS: [Known; 11] = [
    Known {
        of: "fake",
        name: "fourth_method_shared_lock",
        verb: Method::POST,
        is_async: false,
        exclusive: false,
        description: FAKE,
    },
    known("fake", "log_passthrough", Method::POST, false, FAKE),
    known("fake", "second_method", Method::POST, true, FAKE),
    known("fake", "third_method_sync", Method::POST, false, FAKE),
    known(
        "ipmitool",
        "bmc_reset",
        Method::POST,
        true,
        "Restarts the BMC. warm: true (the default) or false.",
    ),
    known(
        "ipmitool",
        "send_raw",
        Method::POST,
        true,
        "Sends bytes to the BMC. raw_bytes: network function, command and data, such as 0x00 0x01.",
    ),
    known(
        "redfish",
        "create_subscription",
        Method::POST,
        false,
        "Has the BMC send events. Destination: a URL; and Protocol, Context, EventTypes, HttpHeaders.",
    ),
    known(
        "redfish",
        "delete_subscription",
        Method::DELETE,
        false,
        "Has the BMC send them no more. id: the subscription's.",
    ),
    known(
        "redfish",
        "eject_vmedia",
        Method::POST,
        true,
        "Takes virtual media out. boot_device: cd, dvd, usb or floppy; without it all.",
    ),
    known(
        "redfish",
        "get_all_subscriptions",
        Method::GET,
        false,
        "The subscriptions that the BMC has.",
    ),
    known(
        "redfish",
        "get_subscription",
        Method::GET,
        false,
        "One subscription. id: the subscription's.",
    ),
];

fn methods_of(node: &NodeRecord) -> impl Iterator<Item = &'static Known> {
    let vendor = node.interfaces.vendor.clone();
    METHODS.iter().filter(move |method| *method.of == *vendor)
}

/// `GET …/vendor_passthru/methods`.
pub(crate) async fn methods(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let mut methods = Map::new();
    for method in methods_of(&node) {
        let shown = json!({
            "http_methods": [method.verb.as_str()],
            "async": method.is_async,
            "description": method.description,
            "attach": false,
            "require_exclusive_lock": method.exclusive,
        });
        methods.insert(method.name.to_owned(), shown);
    }
    Ok(Reply::of(&methods))
}

/// The arguments: those of the body, and those of the query for clients that send a GET or DELETE without one.
fn arguments(call: &Call) -> Result<Map<String, Value>, ApiError> {
    let mut all: Map<String, Value> = call
        .query
        .without(&["method"])
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect();
    if call.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(all);
    }
    match call.json()? {
        Value::Object(map) => all.extend(map),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(ApiError::bad("The request body must be a JSON object."));
        }
    }
    Ok(all)
}

/// Any vendor passthru.
pub(crate) async fn call(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let in_path = call.segment(1);
    let name = if in_path.is_empty() {
        call.query.get("method").unwrap_or("None")
    } else {
        in_path
    };
    let method = methods_of(&node)
        .find(|method| method.name == name)
        .ok_or_else(|| ApiError::bad(format!("No handler for method {name}")))?;
    if call.method != method.verb {
        return Err(ApiError::bad(format!(
            "The method {name} does not support HTTP {}",
            call.method
        )));
    }
    let given = arguments(&call)?;
    let asked = Asked {
        app: &app,
        call: &call,
        node: &node,
    };
    match (method.of, method.name) {
        ("fake", _) => fake(method, &given),
        (_, "get_all_subscriptions") => asked.subscriptions().await?.shown("collection"),
        (_, "get_subscription") => asked.subscription(id_of(&given)?).await,
        (_, "create_subscription") => asked.subscribe(subscription(given)?).await,
        (_, "delete_subscription") => {
            let id = id_of(&given)?.to_owned();
            let cargo = Map::from_iter([("id".to_owned(), Value::from(id))]);
            asked.does(Chore::Unsubscribe, cargo, true).await
        }
        (_, "eject_vmedia") => asked.does(Chore::EjectMedia, media(given)?, false).await,
        (_, "send_raw") => asked.does(Chore::Raw, raw(given)?, false).await,
        (_, "bmc_reset") => asked.does(Chore::RestartBmc, warmth(given)?, false).await,
        (_, _) => Err(unexpected("A method that is listed has no handler.")),
    }
}

// --- Arguments ----------------------------------------------------------------------------------

fn fake(method: &Known, given: &Map<String, Value>) -> Result<Reply, ApiError> {
    let Some(bar) = given.get("bar") else {
        return Err(ApiError::bad(format!(
            "Parameter 'bar' not passed to method '{}'.",
            method.name
        )));
    };
    Ok(if method.is_async {
        Reply::accepted(None)
    } else {
        Reply::of(&json!(bar == "meow"))
    })
}

/// Refuses what the method does not know.
fn only(given: &Map<String, Value>, known: &[&str]) -> Result<(), ApiError> {
    match given.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(ApiError::bad(format!(
            "The method takes no argument {key}; it takes {}",
            known.join(", ")
        ))),
    }
}

fn id_of(given: &Map<String, Value>) -> Result<&str, ApiError> {
    only(given, &["id"])?;
    let id = given.get("id").and_then(Value::as_str);
    id.filter(|id| !id.is_empty())
        .ok_or_else(|| ApiError::bad("id can't be None"))
}

fn raw(given: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    only(&given, &["raw_bytes"])?;
    let missing = || ApiError::bad("Parameter raw_bytes (string of bytes) was not specified.");
    let bytes = given.get("raw_bytes").and_then(Value::as_str);
    let bytes = bytes
        .filter(|bytes| !bytes.trim().is_empty())
        .ok_or_else(missing)?;
    let is_byte = |word: &str| match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => u8::from_str_radix(digits, 16).is_ok(),
        None => word.parse::<u8>().is_ok(),
    };
    if let Some(odd) = bytes.split_whitespace().find(|word| !is_byte(word)) {
        return Err(ApiError::bad(format!(
            "raw_bytes: '{odd}' is no byte; write 0 to 255 or 0x00 to 0xff"
        )));
    }
    Ok(given)
}

fn warmth(given: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    only(&given, &["warm"])?;
    let warm = match given.get("warm") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(warm)) => *warm,
        Some(Value::String(word)) if word.eq_ignore_ascii_case("true") => true,
        Some(Value::String(word)) if word.eq_ignore_ascii_case("false") => false,
        Some(other) => {
            return Err(ApiError::bad(format!("warm is true or false, not {other}")));
        }
    };
    Ok(Map::from_iter([("warm".to_owned(), Value::Bool(warm))]))
}

fn media(given: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    only(&given, &["boot_device"])?;
    match given.get("boot_device") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::String(word)) if ["cd", "dvd", "usb", "floppy"].contains(&word.as_str()) => {
            Ok(given)
        }
        Some(other) => Err(ApiError::bad(format!(
            "Boot device {other} is not a valid value; it is cd, dvd, usb or floppy"
        ))),
    }
}

/// A new subscription as Redfish takes it, with Ironic's defaults.
fn subscription(mut given: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    only(
        &given,
        &[
            "Destination",
            "Protocol",
            "Context",
            "EventTypes",
            "HttpHeaders",
        ],
    )?;
    let url = given.get("Destination").and_then(Value::as_str);
    let is_url = url
        .and_then(|url| url.split_once("://"))
        .is_some_and(|(scheme, rest)| {
            !scheme.is_empty() && !rest.starts_with(['/', '?', '#']) && !rest.is_empty()
        });
    if !is_url {
        let shown = given.get("Destination").cloned().unwrap_or_default();
        return Err(ApiError::bad(format!(
            "Destination {shown} is not a valid URI"
        )));
    }
    for (key, default) in [
        ("Protocol", json!("Redfish")),
        ("Context", json!("")),
        ("EventTypes", json!(["Alert"])),
    ] {
        given.entry(key).or_insert(default);
    }
    for key in ["Protocol", "Context"] {
        if !given.get(key).is_some_and(Value::is_string) {
            return Err(ApiError::bad(format!("{key} is not a string")));
        }
    }
    for key in ["EventTypes", "HttpHeaders"] {
        if !given.get(key).is_none_or(Value::is_array) {
            return Err(ApiError::bad(format!("{key} is not a list")));
        }
    }
    Ok(given)
}

// --- Work ---------------------------------------------------------------------------------------

/// One passthru call of one node.
struct Asked<'a> {
    app: &'a App,
    call: &'a Call,
    node: &'a NodeRecord,
}

/// The subscriptions of a BMC.
struct Subscriptions(Map<String, Value>);

impl Subscriptions {
    fn by_id(&self) -> Option<&Map<String, Value>> {
        self.0.get("by_id")?.as_object()
    }

    fn shown(&self, key: &str) -> Result<Reply, ApiError> {
        let found = self.0.get(key).and_then(Value::as_object);
        found.map(Reply::of).ok_or_else(other_question)
    }
}

fn other_question() -> ApiError {
    unexpected("The owner gave an answer to another question.")
}

impl Asked<'_> {
    async fn request(&self, request: NodeRequest) -> Result<NodeAnswer, ApiError> {
        self.app.request(self.call, self.node.id, request).await
    }

    async fn does(
        &self,
        chore: Chore,
        cargo: Map<String, Value>,
        at_end: bool,
    ) -> Result<Reply, ApiError> {
        let work = NodeRequest::Chore {
            chore,
            cargo: Json::from_map(&cargo),
            at_end,
        };
        match self.request(work).await? {
            NodeAnswer::Accepted | NodeAnswer::Done if at_end => Ok(Reply::done(None)),
            NodeAnswer::Accepted | NodeAnswer::Done => Ok(Reply::accepted(None)),
            NodeAnswer::Live(_) | NodeAnswer::Disclosed(_) => Err(other_question()),
        }
    }

    async fn subscriptions(&self) -> Result<Subscriptions, ApiError> {
        let inquiry = NodeRequest::Ask(Inquiry::Subscriptions);
        match self.request(inquiry).await? {
            NodeAnswer::Disclosed(told) => match *told {
                Disclosure::Subscriptions(all) => Ok(Subscriptions(all.to_map())),
                _ => Err(other_question()),
            },
            NodeAnswer::Accepted | NodeAnswer::Done | NodeAnswer::Live(_) => Err(other_question()),
        }
    }

    async fn subscription(&self, id: &str) -> Result<Reply, ApiError> {
        let all = self.subscriptions().await?;
        let found = all.by_id().and_then(|all| all.get(id));
        let found = found.and_then(Value::as_object);
        found.map(Reply::of).ok_or_else(|| {
            ApiError::not_found(format!(
                "Subscription {id} of node {} could not be found.",
                self.node.id
            ))
        })
    }

    /// Subscribes, and shows what the BMC made of it: the newest of those that send to the same place.
    async fn subscribe(&self, cargo: Map<String, Value>) -> Result<Reply, ApiError> {
        let before = self.subscriptions().await?;
        let destination = cargo.get("Destination").cloned();
        self.does(Chore::Subscribe, cargo, true).await?;
        let after = self.subscriptions().await?;
        let is_new = |id: &str| before.by_id().is_none_or(|all| !all.contains_key(id));
        let made = after
            .by_id()
            .into_iter()
            .flatten()
            .find(|(id, one)| is_new(id) && one.get("Destination") == destination.as_ref())
            .and_then(|(_, one)| one.as_object());
        made.map(Reply::of).ok_or_else(|| {
            unexpected("The BMC took the subscription and does not list it; list them to see.")
        })
    }
}
