//! What a simulated BMC has besides its machine: event subscriptions and a virtual drive.

use super::ROOT;
use super::message::{Answer, Request};
use super::resource::only_get;
use hyper::Method;
use serde_json::{Map, Value, json};

/// Most subscriptions of one BMC.
const SUBSCRIPTIONS_MAX: usize = 8;

/// Subscriptions and the virtual drive. A BMC of which neither was used costs two words.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    subscriptions: Vec<(u32, Map<String, Value>)>,
    last: u32,
    /// What is in the drive.
    pub image: Option<Box<str>>,
}

impl Extras {
    /// `EventService` and what is below it.
    pub(super) fn events(
        &mut self,
        request: &Request<'_>,
        below: (Option<&str>, Option<&str>),
    ) -> Answer {
        let base = format!("{}{ROOT}/EventService", request.prefix);
        match below {
            (None, None) => only_get(request, || {
                json!({
                    "@odata.id": base,
                    "@odata.type": "#EventService.v1_7_0.EventService",
                    "Id": "EventService", "Name": "Event Service", "ServiceEnabled": true,
                    "Subscriptions": {"@odata.id": format!("{base}/Subscriptions")},
                })
            }),
            (Some("Subscriptions"), None) if request.method == Method::POST => {
                self.subscribe(&base, request.body)
            }
            (Some("Subscriptions"), None) => only_get(request, || {
                let members: Vec<Value> = self
                    .subscriptions
                    .iter()
                    .map(|(id, _)| json!({"@odata.id": format!("{base}/Subscriptions/{id}")}))
                    .collect();
                json!({
                    "@odata.id": format!("{base}/Subscriptions"),
                    "@odata.type": "#EventDestinationCollection.EventDestinationCollection",
                    "Name": "Event Subscriptions",
                    "Members@odata.count": members.len(), "Members": members,
                })
            }),
            (Some("Subscriptions"), Some(id)) => self.subscription(request, id),
            _nowhere => Answer::not_found(request.path),
        }
    }

    fn subscribe(&mut self, base: &str, body: &[u8]) -> Answer {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else {
            return Answer::complain(400, "Base.1.8.MalformedJSON", "The body is no JSON object.");
        };
        if !body.get("Destination").is_some_and(Value::is_string) {
            let text = "The property Destination is a required property.";
            return Answer::complain(400, "Base.1.8.PropertyMissing", text);
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            let text = "The resource cannot be created: the limit is reached.";
            return Answer::complain(400, "Base.1.8.ResourceExhaustion", text);
        }
        self.last += 1;
        let id = self.last;
        body.insert("Id".to_owned(), id.to_string().into());
        body.insert("Name".to_owned(), "Subscription".into());
        let shown = Value::Object(body.clone()).to_string();
        self.subscriptions.push((id, body));
        Answer {
            status: 201,
            location: Some(format!("{base}/Subscriptions/{id}")),
            body: shown.into_bytes(),
            ..Answer::default()
        }
    }

    fn subscription(&mut self, request: &Request<'_>, id: &str) -> Answer {
        let found = self
            .subscriptions
            .iter()
            .position(|(known, _)| known.to_string() == id);
        match (found, request.method) {
            (None, _) => Answer::not_found(request.path),
            (Some(at), &Method::DELETE) => {
                self.subscriptions.remove(at);
                Answer::empty(204)
            }
            (Some(at), _) => only_get(request, || {
                let found = self.subscriptions.get(at);
                found.map_or(Value::Null, |(_, body)| Value::Object(body.clone()))
            }),
        }
    }

    /// `Managers/{id}/VirtualMedia` and what is below it: one drive for CDs.
    pub(super) fn media(
        &mut self,
        request: &Request<'_>,
        manager: &str,
        below: (Option<&str>, Option<&str>),
    ) -> Answer {
        let base = format!("{}{ROOT}/Managers/{manager}/VirtualMedia", request.prefix);
        match below {
            (None, None) => only_get(request, || {
                json!({
                    "@odata.id": base, "Name": "Virtual Media",
                    "Members@odata.count": 1, "Members": [{"@odata.id": format!("{base}/1")}],
                })
            }),
            (Some("1"), None) => only_get(request, || {
                let action = |word: &str| json!({"target": format!("{base}/1/{word}")});
                json!({
                    "@odata.id": format!("{base}/1"),
                    "@odata.type": "#VirtualMedia.v1_5_0.VirtualMedia",
                    "Id": "1", "Name": "Virtual CD", "MediaTypes": ["CD", "DVD"],
                    "Image": self.image, "Inserted": self.image.is_some(),
                    "Actions": {
                        "#VirtualMedia.InsertMedia": action("InsertMedia"),
                        "#VirtualMedia.EjectMedia": action("EjectMedia"),
                    },
                })
            }),
            (Some("1"), Some("EjectMedia")) if request.method == Method::POST => {
                self.image = None;
                Answer::empty(204)
            }
            (Some("1"), Some("InsertMedia")) if request.method == Method::POST => {
                let body: Value = serde_json::from_slice(request.body).unwrap_or(Value::Null);
                let image = body.get("Image").and_then(Value::as_str);
                self.image = image.map(Into::into);
                Answer::empty(204)
            }
            _nowhere => Answer::not_found(request.path),
        }
    }
}
