//! Whom a BMC sends its events to. Sources: DSP2046 EventService and EventDestination; Ironic `redfish/vendor.py` for the
//! fields that clients see.

use super::answer;
use super::conversation::Conversation;
use baton_model::json::Json;
use baton_model::port::bmc::BmcError;
use bytes::Bytes;
use hyper::{Method, Uri};
use serde_json::{Map, Value, json};

/// Most subscriptions that are read. BMCs hold some twenty.
const SUBSCRIPTIONS_MAX: usize = 32;

/// What a client may see of a subscription: headers may hold its secrets.
const SHOWN: [&str; 5] = ["Id", "Context", "Protocol", "Destination", "EventTypes"];

fn shown(subscription: &Value) -> Value {
    let fields = SHOWN.iter().filter_map(|key| {
        let value = subscription.get(*key)?;
        Some(((*key).to_owned(), value.clone()))
    });
    Value::Object(fields.collect())
}

impl Conversation<'_> {
    /// Where subscriptions are, and the collection of them.
    async fn subscriptions(&mut self) -> Result<(Uri, Value), BmcError> {
        let root = self.root_path()?;
        let root = self.resource(&root).await?;
        let service = match root {
            Some(root) => self.linked(&root, "/EventService").await?,
            None => None,
        };
        let path = service.and_then(|service| answer::link_at(&service, "/Subscriptions"));
        let path = path.ok_or_else(|| self.unsupported("it has no event service"))?;
        let collection = self.resource(&path).await?;
        let collection =
            collection.ok_or_else(|| self.unsupported("its subscriptions are not there"))?;
        Ok((path, collection))
    }

    /// The collection as a client sees it, and each subscription by its id.
    pub(super) async fn read_subscriptions(&mut self) -> Result<Json, BmcError> {
        let (path, collection) = self.subscriptions().await?;
        let members = answer::members(&collection);
        let listed: Vec<Value> = members
            .iter()
            .map(|path| json!({"@odata.id": path.path()}))
            .collect();
        let mut by_id = Map::new();
        for subscription in self.all(members, SUBSCRIPTIONS_MAX).await? {
            if let Some(id) = answer::text(&subscription, "Id") {
                by_id.insert(id.into_string(), shown(&subscription));
            }
        }
        let told = json!({
            "collection": {
                "@odata.id": path.path(),
                "@odata.type": collection.get("@odata.type"),
                "Name": collection.get("Name"),
                "Members": listed,
                "Members@odata.count": listed.len(),
            },
            "by_id": by_id,
        });
        Ok(told.as_object().map_or(Json::EMPTY, Json::from_map))
    }

    /// Makes a subscription.
    pub(super) async fn subscribe(&mut self, cargo: &Json) -> Result<(), BmcError> {
        let (path, _) = self.subscriptions().await?;
        let body = Bytes::from(cargo.as_str().to_owned());
        let answer = self.request(&Method::POST, &path, Some(body)).await?;
        self.judge_change(&answer)
    }

    /// Ends one.
    pub(super) async fn unsubscribe(&mut self, cargo: &Json) -> Result<(), BmcError> {
        let cargo = cargo.to_map();
        let id = cargo.get("id").and_then(Value::as_str).unwrap_or_default();
        let (_, collection) = self.subscriptions().await?;
        // Only what the BMC lists is deleted, so an id cannot be made to lead elsewhere.
        let path = answer::members(&collection)
            .into_iter()
            .find(|path| path.path().trim_end_matches('/').rsplit('/').next() == Some(id))
            .ok_or_else(|| self.unsupported(&format!("it has no subscription {id}")))?;
        let answer = self.request(&Method::DELETE, &path, None).await?;
        self.judge_change(&answer)
    }
}
