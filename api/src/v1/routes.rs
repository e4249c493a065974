//! The one table of endpoints: method, path, policy, gate by microversion, how much of it is there, and the handler.
//!
//! The router is built from it; each request's policy and gate are looked up in it; `docs/compatibility.md` is printed
//! from it, and a test compares the two.

use super::{conductors, drivers, empty, members, nodes, root, shards};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::objects::{
    ALLOCATIONS, CHASSIS, CONNECTORS, HISTORY, PORTGROUPS, PORTS, RULES, RUNBOOKS, Resource,
    TARGETS, TEMPLATES, allocations, crud,
};
use crate::policy::{Action, PUBLIC};
use crate::service::NotRouted;
use crate::version::{Below, Gate};
use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// How much of an endpoint is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Support {
    /// As Ironic does it.
    Full,
    /// As Ironic does it, but for what the note says.
    Partly(&'static str),
    /// The correct answer of a deployment that has none of it.
    Empty,
    /// Refused with a clear text; nothing is changed.
    Refused,
}

/// What is known about one route before its handler runs.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its method.
    pub(crate) method: Method,
    /// Its path pattern below `/v1`.
    pub(crate) path: &'static str,
    /// The policy that guards it.
    pub(crate) action: Action,
    /// The version it came with.
    pub(crate) gate: Option<Gate>,
    support: Support,
}

/// Routes by pattern and method.
pub(crate) struct Table(HashMap<&'static str, Vec<Row>>);

impl Table {
    /// The row of a matched route.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<&Row> {
        // axum answers HEAD from GET routes; `service` lets it through for discovery only.
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        self.0.get(path)?.iter().find(|row| row.method == *method)
    }
}

/// Collects rows and the router that goes with them.
pub(crate) struct Routes {
    rows: Vec<Row>,
    router: Router<Arc<App>>,
}

impl Routes {
    fn add<H, T>(
        mut self,
        method: Method,
        path: &'static str,
        action: Action,
        gate: Option<Gate>,
        support: Support,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let filter = match method {
            Method::POST => MethodFilter::POST,
            Method::PUT => MethodFilter::PUT,
            Method::PATCH => MethodFilter::PATCH,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        self.router = self.router.route(path, on(filter, handler));
        self.rows.push(Row {
            method,
            path,
            action,
            gate,
            support,
        });
        self
    }

    /// The five routes of a resource; `paths` are those of the collection and of one.
    fn resource(
        self,
        resource: &'static Resource,
        paths: [&'static str; 2],
        gates: Gates,
        support: Support,
    ) -> Self {
        let [all, one] = paths;
        let actions = &resource.actions;
        self.add(
            Method::GET,
            all,
            actions.list,
            gates.read,
            support,
            async move |State(app): State<Arc<App>>, call: Call| {
                crud::list(&app, &call, resource, None, false, None).await
            },
        )
        .add(
            Method::POST,
            all,
            actions.create,
            gates.write,
            support,
            async move |State(app): State<Arc<App>>, call: Call| {
                crud::create(&app, &call, resource).await
            },
        )
        .add(
            Method::GET,
            one,
            actions.get,
            gates.read,
            support,
            async move |State(app): State<Arc<App>>, call: Call| {
                crud::show(&app, &call, resource).await
            },
        )
        .add(
            Method::PATCH,
            one,
            actions.update,
            gates.patch,
            support,
            async move |State(app): State<Arc<App>>, call: Call| {
                crud::update(&app, &call, resource).await
            },
        )
        .add(
            Method::DELETE,
            one,
            actions.delete,
            gates.write,
            support,
            async move |State(app): State<Arc<App>>, call: Call| {
                crud::delete(&app, &call, resource).await
            },
        )
    }

    /// A collection in full.
    fn detail(self, resource: &'static Resource, path: &'static str, gate: Option<Gate>) -> Self {
        self.add(
            Method::GET,
            path,
            resource.actions.list,
            gate,
            Support::Full,
            async move |State(app): State<Arc<App>>, call: Call| {
                crud::list(&app, &call, resource, None, true, None).await
            },
        )
    }

    /// A collection below a node.
    fn of_node(
        self,
        resource: &'static Resource,
        path: &'static str,
        gate: Option<Gate>,
        detailed: bool,
    ) -> Self {
        self.add(
            Method::GET,
            path,
            resource.actions.get,
            gate,
            Support::Full,
            async move |State(app): State<Arc<App>>, call: Call| {
                let node = app.node(&call).await?.id;
                crud::list(&app, &call, resource, Some(node), detailed, None).await
            },
        )
    }

    /// The router and the table.
    pub(crate) fn build(self) -> (Router<Arc<App>>, Table) {
        let mut table = HashMap::<_, Vec<Row>>::new();
        for row in self.rows {
            table.entry(row.path).or_default().push(row);
        }
        let router = self
            .router
            .fallback(no_route)
            .method_not_allowed_fallback(async || ApiError::no_method());
        (router, Table(table))
    }
}

/// The gates of a resource's routes.
#[derive(Clone, Copy)]
struct Gates {
    read: Option<Gate>,
    write: Option<Gate>,
    patch: Option<Gate>,
}

impl Gates {
    const ALWAYS: Self = Self::all(None);

    const fn all(gate: Option<Gate>) -> Self {
        Self {
            read: gate,
            write: gate,
            patch: gate,
        }
    }

    /// Reads say why they find nothing below the version; other methods do not exist there.
    const fn since(since: u16, below: Below) -> Self {
        Self {
            read: gate(since, below),
            write: gate(since, Below::Refused),
            patch: gate(since, Below::Refused),
        }
    }
}

async fn no_route() -> Response {
    let mut response = ApiError::no_route().into_response();
    response.extensions_mut().insert(NotRouted);
    response
}

const fn gate(since: u16, below: Below) -> Option<Gate> {
    Some(Gate { since, below })
}

const fn hidden(since: u16) -> Option<Gate> {
    gate(since, Below::Missing)
}

const ALLOCATIONS_GATE: Below = Below::MissingBecause("The API version does not allow allocations");
const TEMPLATES_GATE: Below =
    Below::MissingBecause("The API version does not allow deploy templates");
const RUNBOOKS_GATE: Below = Below::MissingBecause("The API version does not allow runbooks");
/// What is shown and changed of BIOS settings.
const BIOS: Support = Support::Partly(
    "Redfish: names and values, read when the node becomes manageable and after each change by a step; the attribute \
     registry is not read",
);
/// Whose lights are known.
const LIGHTS: Support =
    Support::Partly("Redfish: of computer and chassis, not of drives; IPMI has none, as in Ironic");
const RULES_GATE: Below = Below::MissingBecause("The API version does not allow inspection rules");
const SHARDS: Below = Below::MissingBecause("The API version does not allow shards");
const NOT_YET: Below = Below::MissingBecause("The API is not supported for this version");

/// All of them.
#[rustfmt::skip] // one row per endpoint, one line per row
pub(crate) fn routes() -> Routes {
    use Support::{Empty, Full, Partly, Refused};
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    const PATCH: Method = Method::PATCH;
    const DELETE: Method = Method::DELETE;
    let routes = Routes {
        rows: Vec::new(),
        router: Router::new(),
    };
    routes
        .add(GET, "/", PUBLIC, None, Full, root::versions)
        .add(GET, "/v1", PUBLIC, None, Full, root::v1)
        // --- Nodes ---
        .add(GET, "/nodes", "baremetal:node:list_all", None, Full, nodes::list::list)
        .add(GET, "/nodes/detail", "baremetal:node:list_all", None, Full, nodes::list::detail)
        .add(POST, "/nodes", "baremetal:node:create", None, Full, nodes::create::create)
        .add(PATCH, "/nodes", "baremetal:node:update", None, Full, nodes::without_node)
        .add(DELETE, "/nodes", "baremetal:node:delete", None, Full, nodes::without_node)
        .add(GET, "/nodes/validate", "baremetal:node:validate", None, Full, nodes::validate::by_query)
        .add(GET, "/nodes/{node}", "baremetal:node:get", None, Full, nodes::show::show)
        .add(PATCH, "/nodes/{node}", "baremetal:node:update", None, Full, nodes::update::update)
        .add(DELETE, "/nodes/{node}", "baremetal:node:delete", None, Full, nodes::delete::delete)
        .add(GET, "/nodes/{node}/validate", "baremetal:node:validate", None, Full, nodes::validate::by_path)
        .add(PUT, "/nodes/{node}/maintenance", "baremetal:node:set_maintenance", None, Full, nodes::maintenance::set)
        .add(DELETE, "/nodes/{node}/maintenance", "baremetal:node:clear_maintenance", None, Full, nodes::maintenance::clear)
        .add(GET, "/nodes/{node}/states", "baremetal:node:get_states", None, Full, nodes::states::show)
        .add(PUT, "/nodes/{node}/states/power", "baremetal:node:set_power_state", None, Full, nodes::power::set)
        .add(PUT, "/nodes/{node}/states/provision", "baremetal:node:set_provision_state", None,
            Partly("steps that run inside the machine (the deploy agent's) are refused with 400"), nodes::provision::set)
        .add(PUT, "/nodes/{node}/states/raid", "baremetal:node:set_raid_state", gate(12, Below::NotAcceptable),
            Partly("stored for interfaces with RAID; applied by a later version"), nodes::states::set_raid)
        .add(GET, "/nodes/{node}/states/console", "baremetal:node:get_console", None,
            Partly("fake only; others have no console yet"), nodes::states::console)
        .add(PUT, "/nodes/{node}/states/console", "baremetal:node:set_console_state", None,
            Partly("fake only; others have no console yet"), nodes::states::set_console)
        .add(PUT, "/nodes/{node}/states/boot_mode", "baremetal:node:set_boot_mode", hidden(76), Full, nodes::states::set_boot_mode)
        .add(PUT, "/nodes/{node}/states/secure_boot", "baremetal:node:set_secure_boot", hidden(76), Full, nodes::states::set_secure_boot)
        .add(GET, "/nodes/{node}/management/boot_device", "baremetal:node:get_boot_device", None, Full, nodes::management::boot_device)
        .add(PUT, "/nodes/{node}/management/boot_device", "baremetal:node:set_boot_device", None, Full, nodes::management::set_boot_device)
        .add(GET, "/nodes/{node}/management/boot_device/supported", "baremetal:node:get_boot_device", None, Full, nodes::management::supported)
        .add(GET, "/nodes/{node}/management/indicators", "baremetal:node:get_indicator_state", None, LIGHTS, nodes::indicators::list)
        .add(GET, "/nodes/{node}/management/indicators/{indicator}", "baremetal:node:get_indicator_state", None, LIGHTS, nodes::indicators::show)
        .add(PUT, "/nodes/{node}/management/indicators/{indicator}", "baremetal:node:set_indicator_state", None, LIGHTS, nodes::indicators::set)
        .add(PUT, "/nodes/{node}/management/inject_nmi", "baremetal:node:inject_nmi", hidden(29), Full, nodes::management::inject_nmi)
        .add(GET, "/nodes/{node}/traits", "baremetal:node:traits:list", gate(37, Below::NotAcceptable), Full, nodes::traits::list)
        .add(PUT, "/nodes/{node}/traits", "baremetal:node:traits:set", gate(37, Below::Refused), Full, nodes::traits::replace)
        .add(DELETE, "/nodes/{node}/traits", "baremetal:node:traits:delete", hidden(37), Full, nodes::traits::clear)
        .add(PUT, "/nodes/{node}/traits/{trait}", "baremetal:node:traits:set", gate(37, Below::Refused), Full, nodes::traits::add)
        .add(DELETE, "/nodes/{node}/traits/{trait}", "baremetal:node:traits:delete", hidden(37), Full, nodes::traits::remove)
        .add(GET, "/nodes/{node}/vifs", "baremetal:node:vif:list", hidden(28), Full, nodes::vifs::list)
        .add(POST, "/nodes/{node}/vifs", "baremetal:node:vif:attach", hidden(28),
            Partly("noop network: accepted, nothing is stored"), nodes::vifs::attach)
        .add(DELETE, "/nodes/{node}/vifs/{vif}", "baremetal:node:vif:detach", hidden(28),
            Partly("noop network: accepted, nothing is stored"), nodes::vifs::detach)
        .add(GET, "/nodes/{node}/bios", "baremetal:node:bios:get", hidden(40), 
            BIOS, nodes::firmware::bios)
        .add(GET, "/nodes/{node}/bios/{setting}", "baremetal:node:bios:get", hidden(40), 
            BIOS, nodes::firmware::bios_setting)
        .add(GET, "/nodes/{node}/firmware", "baremetal:node:firmware:get", hidden(86), 
            Partly("Redfish: BIOS and BMC, read when the node becomes manageable; nothing is flashed"), nodes::firmware::components)
        .add(GET, "/nodes/{node}/children", "baremetal:node:get", hidden(83), Full, nodes::extras::children)
        .add(GET, "/nodes/{node}/vmedia", "baremetal:node:vmedia:get", hidden(93), Refused, nodes::extras::vmedia)
        .add(POST, "/nodes/{node}/vmedia", "baremetal:node:vmedia:attach", hidden(89),
            Partly("fake only, accepted and forgotten"), nodes::extras::insert_vmedia)
        .add(DELETE, "/nodes/{node}/vmedia", "baremetal:node:vmedia:detach", hidden(89),
            Partly("fake only, accepted and forgotten"), nodes::extras::eject_vmedia)
        .add(GET, "/nodes/{node}/vendor_passthru/methods", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::methods)
        .add(GET, "/nodes/{node}/vendor_passthru", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(POST, "/nodes/{node}/vendor_passthru", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(PUT, "/nodes/{node}/vendor_passthru", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(PATCH, "/nodes/{node}/vendor_passthru", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(DELETE, "/nodes/{node}/vendor_passthru", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(POST, "/nodes/{node}/vendor_passthru/{method}", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(PUT, "/nodes/{node}/vendor_passthru/{method}", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(GET, "/nodes/{node}/vendor_passthru/{method}", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(PATCH, "/nodes/{node}/vendor_passthru/{method}", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(DELETE, "/nodes/{node}/vendor_passthru/{method}", "baremetal:node:vendor_passthru", None, Full, nodes::passthru::call)
        .add(GET, "/nodes/{node}/volume", "baremetal:volume:list", hidden(32), Full, nodes::extras::volume)
        // --- Drivers and conductors ---
        .add(GET, "/drivers", "baremetal:driver:get", None, Full, drivers::list)
        .add(GET, "/drivers/{driver}", "baremetal:driver:get", None, Full, drivers::show)
        .add(GET, "/drivers/{driver}/properties", "baremetal:driver:get_properties", None, Full, drivers::properties)
        .add(GET, "/drivers/{driver}/raid/logical_disk_properties", "baremetal:driver:get_raid_logical_disk_properties",
            gate(12, Below::NotAcceptable), Full, drivers::raid_properties)
        .add(GET, "/drivers/{driver}/vendor_passthru/methods", "baremetal:driver:vendor_passthru", None, Empty, drivers::vendor_methods)
        .add(GET, "/drivers/{driver}/vendor_passthru", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(POST, "/drivers/{driver}/vendor_passthru", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(PUT, "/drivers/{driver}/vendor_passthru", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(PATCH, "/drivers/{driver}/vendor_passthru", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(DELETE, "/drivers/{driver}/vendor_passthru", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(GET, "/drivers/{driver}/vendor_passthru/{method}", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(POST, "/drivers/{driver}/vendor_passthru/{method}", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(PUT, "/drivers/{driver}/vendor_passthru/{method}", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(PATCH, "/drivers/{driver}/vendor_passthru/{method}", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(DELETE, "/drivers/{driver}/vendor_passthru/{method}", "baremetal:driver:vendor_passthru", None, Refused, drivers::vendor)
        .add(GET, "/conductors", "baremetal:conductor:get", hidden(49), Full, conductors::list)
        .add(GET, "/conductors/{host}", "baremetal:conductor:get", hidden(49), Full, conductors::show)
        // --- Objects ---
        .resource(&PORTS, ["/ports", "/ports/{port}"], Gates::ALWAYS, Full)
        .detail(&PORTS, "/ports/detail", None)
        .of_node(&PORTS, "/nodes/{node}/ports", None, false)
        .of_node(&PORTS, "/nodes/{node}/ports/detail", None, true)
        .resource(&PORTGROUPS, ["/portgroups", "/portgroups/{group}"], Gates::all(hidden(23)), Full)
        .detail(&PORTGROUPS, "/portgroups/detail", hidden(23))
        .add(GET, "/portgroups/{group}/ports", "baremetal:portgroup:get", hidden(24), Full, members::ports)
        .add(GET, "/portgroups/{group}/ports/detail", "baremetal:portgroup:get", hidden(24), Full, members::ports_detail)
        .of_node(&PORTGROUPS, "/nodes/{node}/portgroups", hidden(24), false)
        .of_node(&PORTGROUPS, "/nodes/{node}/portgroups/detail", hidden(24), true)
        .resource(&CHASSIS, ["/chassis", "/chassis/{chassis}"], Gates::ALWAYS, Full)
        .detail(&CHASSIS, "/chassis/detail", None)
        .add(GET, "/chassis/{chassis}/nodes", "baremetal:chassis:get", None, Full, members::nodes)
        .add(GET, "/chassis/{chassis}/nodes/detail", "baremetal:chassis:get", None, Full, members::nodes_detail)
        .resource(&CONNECTORS, ["/volume/connectors", "/volume/connectors/{connector}"], Gates::all(hidden(32)), Full)
        .of_node(&CONNECTORS, "/nodes/{node}/volume/connectors", hidden(32), false)
        .resource(&TARGETS, ["/volume/targets", "/volume/targets/{target}"], Gates::all(hidden(32)), Full)
        .of_node(&TARGETS, "/nodes/{node}/volume/targets", hidden(32), false)
        .resource(&ALLOCATIONS, ["/allocations", "/allocations/{allocation}"], Gates {
            read: gate(52, ALLOCATIONS_GATE),
            write: gate(52, Below::Refused),
            patch: gate(57, Below::Refused),
        }, Full)
        .add(GET, "/nodes/{node}/allocation", "baremetal:allocation:get", hidden(52), Full, allocations::show)
        .add(DELETE, "/nodes/{node}/allocation", "baremetal:allocation:delete", hidden(52), Full, allocations::delete)
        .resource(&TEMPLATES, ["/deploy_templates", "/deploy_templates/{template}"], Gates::since(55, TEMPLATES_GATE), Full)
        .resource(&RUNBOOKS, ["/runbooks", "/runbooks/{runbook}"], Gates::since(92, RUNBOOKS_GATE), Full)
        .add(GET, "/runbooks/{runbook}/traits", "baremetal:runbook:get", hidden(112), Full, members::runbook_traits)
        .add(PUT, "/runbooks/{runbook}/traits", "baremetal:runbook:update", hidden(112), Full, members::set_runbook_traits)
        .add(DELETE, "/runbooks/{runbook}/traits", "baremetal:runbook:update", hidden(112), Full, members::clear_runbook_traits)
        .add(PUT, "/runbooks/{runbook}/traits/{trait}", "baremetal:runbook:update", hidden(112), Full, members::add_runbook_trait)
        .add(DELETE, "/runbooks/{runbook}/traits/{trait}", "baremetal:runbook:update", hidden(112), Full, members::remove_runbook_trait)
        .resource(&RULES, ["/inspection_rules", "/inspection_rules/{rule}"], Gates::since(96, RULES_GATE),
            Partly("kept and checked; applied once inspection through the agent is there"))
        .add(DELETE, "/inspection_rules", "baremetal:inspection_rule:delete", gate(96, Below::Refused), Full, members::delete_rules)
        .of_node(&HISTORY, "/nodes/{node}/history", hidden(78), false)
        .add(GET, "/nodes/{node}/history/{event}", "baremetal:node:history:get", hidden(78), Full, nodes::extras::history_event)
        .add(GET, "/nodes/{node}/inventory", "baremetal:node:inventory:get", hidden(81),
            Full, nodes::extras::inventory)
        // --- The rest ---
        .add(GET, "/volume", "baremetal:volume:list", hidden(32), Full, empty::volume)
        .add(GET, "/shards", "baremetal:shards:get", gate(82, SHARDS), Full, shards::list)
        .add(POST, "/events", "baremetal:events:post", hidden(54), Partly("accepted and ignored"), empty::events)
        .add(GET, "/lookup", PUBLIC, gate(22, NOT_YET), Empty, empty::lookup)
        .add(POST, "/heartbeat/{node}", PUBLIC, gate(22, NOT_YET), Refused, empty::heartbeat)
        .add(POST, "/continue_inspection", PUBLIC, None, Refused, empty::continue_inspection)
}

/// `docs/compatibility.md`: every endpoint with its state.
#[must_use]
pub fn compatibility() -> String {
    let rows = routes().rows;
    let count = |wanted: fn(Support) -> bool| rows.iter().filter(|row| wanted(row.support)).count();
    let mut text = String::from(
        "# Compatibility with the Bare Metal v1 API\n\n\
         Microversions 1.1 to 1.115 are negotiated. This page is printed from the route table (`api/src/v1/routes.rs`) \
         and a test keeps the two equal: run `UPDATE_DOCS=1 cargo nextest run -p baton-api compatibility` after a change.\n\n\
         - **full**: as Ironic does it, for every version.\n\
         - **partly**: as Ironic does it, but for what is said.\n\
         - **empty**: the correct answer of a deployment that has none of it (empty lists, 404 for single ones).\n\
         - **refused**: a clear 400 (404 or 409 where clients expect that); nothing is changed.\n\n",
    );
    // Writing to a string cannot fail.
    let mut put = |args: std::fmt::Arguments<'_>| text.write_fmt(args).unwrap_or_default();
    put(format_args!(
        "{} endpoints: {} full, {} partly, {} empty, {} refused.\n\n",
        rows.len(),
        count(|support| support == Support::Full),
        count(|support| matches!(support, Support::Partly(_))),
        count(|support| support == Support::Empty),
        count(|support| support == Support::Refused),
    ));
    put(format_args!(
        "| method | path | since | state |\n|---|---|---|---|\n"
    ));
    for row in &rows {
        let since = row.gate.map_or(1, |gate| gate.since);
        let prefix = if matches!(row.path, "/" | "/v1") {
            ""
        } else {
            "/v1"
        };
        let state = match row.support {
            Support::Full => "full".to_owned(),
            Support::Partly(note) => format!("partly: {note}"),
            Support::Empty => "empty".to_owned(),
            Support::Refused => "refused".to_owned(),
        };
        put(format_args!(
            "| {} | `{prefix}{}` | 1.{since} | {state} |\n",
            row.method, row.path
        ));
    }
    text
}
